//! The journal's own protocol: one datagram per entry, with fields. An absent journal is no reason to lose a line, and a slow one
//! no reason to wait.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::entry::{Entry, Level};
use super::form::sentence;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Name under which `journalctl -t` finds the entries.
const IDENTIFIER: &str = "soakd";
/// Characters that the journal takes in the name of a field.
const NAME_MAX: usize = 64;

/// Sends entries to the journal.
pub(super) struct Journal {
    socket: Option<UnixDatagram>,
    path: PathBuf,
    /// Entries that the journal had no room for.
    lost: u64,
}

impl Journal {
    pub(super) fn new(path: &Path) -> Self {
        // Without a socket every entry takes the other way, so that there is nothing to report here.
        let socket = UnixDatagram::unbound().ok().filter(|socket| socket.set_nonblocking(true).is_ok());
        Self { socket, path: path.to_owned(), lost: 0 }
    }

    /// Sends one entry; what could not be sent comes back as lines for standard error.
    pub(super) fn send(&mut self, entry: &Entry) -> Option<String> {
        if self.lost > 0 {
            let text = format!("{} log entries were lost, because the journal had no room for them", self.lost);
            match self.put(&Entry::new(Level::Warn, module_path!(), &text)) {
                Ok(()) => self.lost = 0,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Some(prefixed(entry)),
            }
        }
        match self.put(entry) {
            Ok(()) => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.lost += 1;
                None
            }
            // The journal is not there, or the entry too large for it.
            Err(_) => Some(prefixed(entry)),
        }
    }

    fn put(&self, entry: &Entry) -> std::io::Result<()> {
        let socket = self.socket.as_ref().ok_or(ErrorKind::NotConnected)?;
        // The path is looked up each time: a journal that was started again has another socket there.
        socket.send_to(&datagram(entry), &self.path).map(drop)
    }
}

/// Returns an entry in the journal's form.
fn datagram(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + entry.message.len());
    put(&mut out, "MESSAGE", &message(entry));
    put(&mut out, "PRIORITY", &entry.level.priority().to_string());
    put(&mut out, "SYSLOG_IDENTIFIER", IDENTIFIER);
    put(&mut out, "CODE_MODULE", &entry.target);
    if let (Some(file), Some(line)) = (entry.file, entry.line) {
        put(&mut out, "CODE_FILE", file);
        put(&mut out, "CODE_LINE", &line.to_string());
    }
    for (name, value) in &entry.fields {
        match value {
            serde_json::Value::String(text) => put(&mut out, &field_name(name), text),
            other => put(&mut out, &field_name(name), &other.to_string()),
        }
    }
    out
}

/// Returns the message with its fields, as `journalctl` shows nothing else by itself.
fn message(entry: &Entry) -> String {
    if entry.fields.is_empty() { entry.message.clone() } else { sentence(entry) }
}

/// Adds a field; a value of several lines has its length before it instead of a mark at its end.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// Returns a name that the journal takes, told apart from its own.
fn field_name(name: &str) -> String {
    let upper = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    "SOAKD_".chars().chain(upper).take(NAME_MAX).collect()
}

/// Returns the entry as lines that tell the journal their priority when it reads standard error.
pub(super) fn prefixed(entry: &Entry) -> String {
    let priority = entry.level.priority();
    sentence(entry).lines().map(|line| format!("<{priority}>{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry() -> Entry {
        let mut entry = Entry::new(Level::Error, "soakd::engine::crew", "no fresh credential");
        entry.fields.push(("db-no".into(), 3.into()));
        entry
    }

    fn listener(dir: &Path) -> (UnixDatagram, PathBuf) {
        let path = dir.join("journal");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        (socket, path)
    }

    fn receive(socket: &UnixDatagram) -> Vec<u8> {
        let mut bytes = vec![0; 65_536];
        let length = socket.recv(&mut bytes).expect("a datagram");
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn an_entry_arrives_with_its_fields() {
        let dir = tempfile::tempdir().expect("a directory");
        let (socket, path) = listener(dir.path());
        assert_eq!(Journal::new(&path).send(&entry()), None);
        assert_eq!(
            String::from_utf8(receive(&socket)).expect("text"),
            "MESSAGE=no fresh credential db-no=3\nPRIORITY=3\nSYSLOG_IDENTIFIER=soakd\n\
             CODE_MODULE=soakd::engine::crew\nSOAKD_DB_NO=3\n"
        );
    }

    #[test]
    fn lines_within_a_value_cannot_forge_a_field() {
        let mut entry = entry();
        entry.fields = vec![("error".into(), "first\nPRIORITY=0".into())];
        let bytes = datagram(&entry);
        let value = b"SOAKD_ERROR\n\x10\0\0\0\0\0\0\0first\nPRIORITY=0\n";
        assert!(bytes.ends_with(value), "{:?}", String::from_utf8_lossy(&bytes));
        entry.fields.clear();
        entry.message = "one\ntwo".into();
        assert!(datagram(&entry).starts_with(b"MESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\nPRIORITY=3\n"));
    }

    #[test]
    fn without_a_journal_lines_go_to_standard_error_with_their_priority() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::new(&dir.path().join("absent"));
        let mut two = entry();
        (two.level, two.message, two.fields) = (Level::Info, "one\ntwo".into(), Vec::new());
        assert_eq!(journal.send(&entry()).as_deref(), Some("<3>no fresh credential db-no=3\n"));
        assert_eq!(journal.send(&two).as_deref(), Some("<6>one\n<6>    two\n"));
    }

    #[test]
    fn a_journal_without_room_holds_nothing_up_and_learns_what_it_missed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (socket, path) = listener(dir.path());
        let mut journal = Journal::new(&path);
        let mut sent = 0;
        while journal.lost < 3 {
            assert_eq!(journal.send(&entry()), None);
            sent += 1;
        }
        for _ in 0..sent - 3 {
            receive(&socket);
        }
        assert_eq!(journal.send(&entry()), None);
        let told = String::from_utf8(receive(&socket)).expect("text");
        assert!(told.starts_with("MESSAGE=3 log entries were lost"), "{told}");
        assert!(receive(&socket).starts_with(b"MESSAGE=no fresh credential"));
    }
}
