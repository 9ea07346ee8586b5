//! Readings of this process and of children that are made to use something.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

fn reading(pid: u32, slow: bool) -> Reading {
    read("worker-1", pid, slow).expect("it can be read").expect("it is there")
}

#[test]
fn this_process_is_read_and_grows_with_what_it_opens() {
    let before = read("daemon", std::process::id(), true).expect("it can be read").expect("it is there");
    assert!(!before.pss_is_rss && before.hidden.is_none());
    let usage = before.usage;
    assert!(usage.rss_bytes > 1 << 20 && usage.pss_bytes > 1 << 19 && usage.pss_bytes < usage.rss_bytes * 2);
    assert!(usage.threads >= 1 && usage.descriptors >= 3 && usage.descriptors_max > usage.descriptors);
    let held: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").expect("a file")).collect();
    let after = read("daemon", std::process::id(), false).expect("it can be read").expect("it is there");
    // Other tests open and close files of their own meanwhile.
    assert!(after.usage.descriptors >= usage.descriptors + 50, "{after:?}");
    assert!(after.pss_is_rss && after.heap.is_none());
    drop(held);
}

#[test]
fn a_process_that_is_gone_or_was_not_waited_for_is_nothing() {
    let mut child = Command::new("true").spawn().expect("a child");
    let pid = child.id();
    // Until it is waited for, it is a zombie at last.
    while read("worker-1", pid, true).expect("no error").is_some() {
        std::thread::yield_now();
    }
    child.wait().expect("its end");
    assert_eq!(read("worker-1", pid, true).expect("no error"), None);
    assert_eq!(read("worker-1", 0, true).expect("no error"), None);
    assert_eq!(read("worker-1", u32::MAX, true).expect("no error"), None);
}

/// A shell that does what it is told and says when it is done.
struct Shell(Child, BufReader<std::process::ChildStdout>);

impl Shell {
    fn start() -> Self {
        let mut child = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let mut shell = Self(child, out);
        shell.tell(":");
        shell
    }

    fn tell(&mut self, what: &str) {
        let stdin = self.0.stdin.as_mut().expect("its input");
        writeln!(stdin, "{what}\necho done").expect("it listens");
        let mut line = String::new();
        self.1.read_line(&mut line).expect("an answer");
        assert_eq!(line, "done\n");
    }

    fn seen(&self) -> (Reading, Kinds) {
        let seen = reading(self.0.id(), true);
        let kinds = seen.descriptors.expect("its descriptors").kinds.expect("their kinds");
        (seen, kinds)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_process_opens_is_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut shell = Shell::start();
    let (seen, before) = shell.seen();
    // What was open without need in the process that runs the tests is inherited.
    assert!(before.pipes >= 2, "its input and its output: {before:?}");
    assert_eq!(seen.usage.descriptors, before.files + before.sockets + before.pipes + before.other);
    let port = listener.local_addr().expect("an address").port();
    shell.tell(&format!("exec 20<>/dev/tcp/127.0.0.1/{port} 21<>/dev/tcp/127.0.0.1/{port}"));
    shell.tell(&format!("cd {}; exec 30>a 31>b 32>c; exec 40< <(sleep 600)", dir.path().display()));
    let (_, after) = shell.seen();
    assert_eq!((after.sockets, after.files), (before.sockets + 2, before.files + 3), "{before:?} {after:?}");
    assert!(after.pipes > before.pipes && after.deleted_bytes == 0, "{before:?} {after:?}");
    shell.tell("printf '%100000s' x >&30; rm a; kill %% $! 2>/dev/null; exec 40<&-");
    let (_, rest) = shell.seen();
    assert!(rest.deleted_bytes >= 100_000 && rest.deleted_bytes < 200_000, "{rest:?}");
    shell.tell("exec 20>&- 21>&- 30>&- 31>&- 32>&-");
    let (_, back) = shell.seen();
    assert_eq!((back.sockets, back.files, back.deleted_bytes), (before.sockets, before.files, 0));
}

#[test]
fn what_a_process_takes_of_memory_is_seen_as_anonymous_and_as_heap() {
    let mut shell = Shell::start();
    let (before, _) = shell.seen();
    let text = "x=$(printf '%8000000s' x)";
    shell.tell(text);
    let (after, _) = shell.seen();
    let grown = |of: fn(&Reading) -> Option<u64>| of(&after).expect("known") - of(&before).expect("known");
    assert!(grown(|seen| seen.anon) > 6_000_000, "{before:?} {after:?}");
    assert!(after.usage.rss_bytes > before.usage.rss_bytes + 6_000_000);
    assert!(after.heap.expect("a heap") >= before.heap.expect("a heap"));
    assert!(after.anon.expect("known") <= after.usage.rss_bytes + (1 << 20));
    assert!(before.io.is_some());
}

#[test]
fn more_descriptors_than_are_told_apart_are_counted_all_the_same() {
    let mut shell = Shell::start();
    shell.tell("i=20; while [ $i -lt 120 ]; do eval \"exec $i</dev/null\"; i=$((i+1)); done");
    let few = super::descriptors::read(shell.0.id(), 50).expect("its descriptors");
    assert!(few.total >= 100 && few.kinds.is_none(), "{few:?}");
    let all = super::descriptors::read(shell.0.id(), KINDS_MAX).expect("its descriptors");
    assert!(all.total == few.total && all.kinds.expect("known").files >= 100, "{all:?}");
}

#[test]
fn amounts_are_read_as_the_kernel_writes_them() {
    assert_eq!(kib("\t    12 kB"), Some(12_288));
    assert_eq!(kib("12"), None);
    assert_eq!(kib(" kB"), None);
    assert_eq!(kib("99999999999999999999 kB"), None);
}
