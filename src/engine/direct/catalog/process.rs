//! What this process holds open, as /proc says: descriptors, the sockets to a server, and threads by their names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of a thread's name that the kernel keeps.
const NAME_MAX: usize = 15;

/// Returns where the descriptors of this process lead.
pub(super) fn descriptors() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

/// Returns how many of the descriptors lead to a SQLite file, or to one that belongs to it.
pub(super) fn of_file(links: &[PathBuf], file: &Path) -> u64 {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let of_database = |link: &&PathBuf| {
        let rest = link.as_os_str().as_bytes().strip_prefix(file.as_os_str().as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-") || rest.starts_with(b" "))
    };
    links.iter().filter(of_database).count() as u64
}

/// Returns how many of the descriptors are sockets to one of these ports, but for those that begin at a port of others.
pub(super) fn sockets(links: &[PathBuf], ports: &[u16], others: &[u16]) -> u64 {
    let table = |name| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    let inodes = connected(&[table("tcp"), table("tcp6")].concat(), ports, others);
    let inode = |link: &PathBuf| {
        let number = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        number.parse::<u64>().ok()
    };
    links.iter().filter(|link| inode(link).is_some_and(|inode| inodes.contains(&inode))).count() as u64
}

/// Returns the inodes of connections to one of these ports, out of the kernel's table of connections.
fn connected(table: &str, ports: &[u16], others: &[u16]) -> BTreeSet<u64> {
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, remote) = (port(fields.get(1)?)?, port(fields.get(2)?)?);
        let wanted = ports.contains(&remote) && !others.contains(&local);
        // Nobody holds one without an inode any more.
        fields.get(9)?.parse::<u64>().ok().filter(|inode| wanted && *inode != 0)
    };
    table.lines().filter_map(inode).collect()
}

/// Returns how many threads this process has.
pub(super) fn threads() -> u64 {
    fs::read_dir("/proc/self/task").map_or(0, |entries| entries.count() as u64)
}

/// Returns how many of the threads have a name.
pub(super) fn threads_named(name: &str) -> u64 {
    let Ok(entries) = fs::read_dir("/proc/self/task") else { return 0 };
    entries.flatten().filter(|entry| is_named(&entry.path(), name)).count() as u64
}

fn is_named(task: &Path, name: &str) -> bool {
    let found = fs::read(task.join("comm")).unwrap_or_default();
    let name = name.as_bytes();
    found.strip_suffix(b"\n") == Some(&name[..name.len().min(NAME_MAX)])
}

/// The threads of workers, by the kernel's numbers: those of another run in this process have the same names.
#[derive(Debug, Default)]
pub(super) struct Crew(Mutex<Vec<(PathBuf, String)>>);

impl Crew {
    /// Takes note of the thread that asks, if it has this name: a task runs on a thread that is not its own.
    pub(super) fn note(&self, name: &str) {
        if std::thread::current().name() != Some(name) {
            return;
        }
        let Ok(thread) = fs::read_link("/proc/thread-self") else { return };
        let task = Path::new("/proc").join(thread);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((task, name.to_owned()));
    }

    /// Returns how many of them are still there, and forgets the others.
    pub(super) fn alive(&self) -> u64 {
        let mut crew = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        crew.retain(|(task, name)| is_named(task, name));
        crew.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_told_by_both_ends() {
        // As the kernel writes them: local and remote address, state, queues, timer, retransmits, user, timeout, inode.
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:8001 0100007F:1538 01 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 20 4 30 10 -1\n\
             1: 0100007F:8002 0100007F:1538 08 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 30 10 -1\n\
             2: 0100007F:1538 0100007F:8001 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0 20 4 30 10 -1\n\
             3: 0100007F:8003 0100007F:1538 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0\n\
             4: 00000000000000000000000001000000:8004 00000000000000000000000001000000:1538 01 0:0 0:0 0 1000 0 14 1\n";
        assert_eq!(connected(table, &[0x1538], &[]), [11, 12, 14].into());
        assert_eq!(connected(table, &[0x1538], &[0x8002]), [11, 14].into());
        assert!(connected(table, &[], &[]).is_empty() && connected("nonsense\n1 2 3", &[1], &[]).is_empty());
    }

    #[test]
    fn a_socket_is_counted_as_long_as_it_is_open() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = |others: &[u16]| sockets(&descriptors(), &[port], others);
        assert_eq!(count(&[]), 0);
        let one = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!((count(&[]), count(&[one.local_addr().unwrap().port()])), (1, 0));
        drop(one);
        assert_eq!(count(&[]), 0);
    }

    #[test]
    fn a_worker_is_counted_as_long_as_its_thread_runs_and_a_stranger_never() {
        let (crew, name) = (Crew::default(), "connection_cleanup-7");
        let (told, hears) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let crew = &crew;
            let work = move || {
                crew.note("read_heavy-1");
                crew.note(name);
                told.send(()).unwrap();
                let _ = gone.recv();
            };
            let worker = std::thread::Builder::new().name(name.into()).spawn_scoped(scope, work).unwrap();
            hears.recv().unwrap();
            crew.note(name);
            assert_eq!(crew.alive(), 1);
            drop(go);
            worker.join().unwrap();
        });
        // The kernel may take a moment longer than the one who waits for it.
        while crew.alive() > 0 {
            std::thread::yield_now();
        }
    }
}
