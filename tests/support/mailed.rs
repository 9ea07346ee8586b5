//! Settings and readers for tests in which the real daemon writes to a real mail server.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::daemon;
use crate::mime::Mail;
use crate::smtpd::{DOMAIN, PASSWORD, Smtpd, USER};

/// Returns the settings of a mail channel with STARTTLS and a login; the password is put into a file in `dir`.
pub(crate) fn mail_section(server: &Smtpd, dir: &Path) -> String {
    let password = dir.join("mail-password");
    std::fs::write(&password, PASSWORD).expect("a file");
    format!(
        "[notify.mail]\nhost = \"localhost\"\nport = {}\nuser = \"{USER}\"\npassword = {{ file = {password:?} }}\n\
         ca_file = {:?}\nfrom = \"soakd <soakd@{DOMAIN}>\"\nto = [\"first@{DOMAIN}\"]\ntimeout = \"10s\"\n",
        server.starttls,
        server.authority()
    )
}

/// Returns the incidents that a state directory holds, the newest first.
pub(crate) fn incidents(state: &Path) -> Vec<Value> {
    let mut command = daemon::soakd(&["incidents", "--all", "--format", "json", "--state-dir"]);
    let ended = daemon::ended(command.arg(state));
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
    let all: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    daemon::list(&all, "incidents").to_vec()
}

/// Returns what `soakd run` with planted bugs is started by.
pub(crate) fn planted(config: &Path, state: &Path, bug: &str) -> Command {
    daemon::run_command(config, state, &["--plant", bug, "--testing"])
}

/// Reads all mails that a mailbox holds, in the order of their arrival.
pub(crate) fn read(mails: &[Vec<u8>]) -> Vec<Mail> {
    mails.iter().map(|mail| Mail::read(mail)).collect()
}

/// Returns the largest resident memory that a process ever had, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line about memory");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}
