//! Checks on this machine: the table, the state directory, disk space, secrets, the extension's file.

use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use sha2::{Digest, Sha256};

use super::CheckLine;
use crate::config::target::ExtensionConfig;
use crate::config::{Config, SecretRef};
use crate::model::schema::TableSpec;
use crate::observe::notify::Channels;
use crate::probe::disk;

/// Room that a run needs besides its rows: state file, logs, reports.
const BASE_BYTES: u64 = 512 << 20;
/// Room that one row takes in a tracked database and in the server's store, with its log.
const ROW_BYTES: u64 = 1_500;

pub(in crate::cli) fn table(table: &TableSpec) -> CheckLine {
    let name = |index: usize| table.columns[index].name.as_str();
    let (key, owner) = (name(table.key), name(table.owner));
    let (stamp, counter) = (name(table.stamp), name(table.counter));
    CheckLine::ok("table", format!("{}: key {key}, owner {owner}, stamp {stamp}, counter {counter}", table.name))
}

/// Returns the path itself, or the nearest directory above it that exists.
pub(in crate::cli) fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|at| at.exists()).map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

pub(in crate::cli) fn state_dir(path: &Path) -> CheckLine {
    const NAME: &str = "state directory";
    let there = existing(path);
    if !there.is_dir() {
        return CheckLine::failed(NAME, format!("{} is no directory", there.display()));
    }
    match access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if path.exists() => CheckLine::ok(NAME, format!("{} can be written", path.display())),
        Ok(()) => CheckLine::ok(NAME, format!("{} can be made", path.display())),
        Err(why) => CheckLine::failed(NAME, format!("{} cannot be written: {why}", there.display())),
    }
}

/// Returns the room that a run takes, roughly.
pub(in crate::cli) fn disk_need(config: &Config) -> u64 {
    // What workers that drive a database write depends on its speed.
    let Some(sync) = config.workload.sync() else { return BASE_BYTES };
    let (rows, _, databases) = sync.size();
    // Every database may receive the rows of all others, and the server keeps them once more.
    let copies = u64::from(databases) + 1;
    let total = u64::from(rows) * u64::from(databases);
    let per_replica = if sync.rls { u64::from(rows) * u64::from(databases.min(2)) } else { total };
    BASE_BYTES.saturating_add(per_replica.saturating_mul(copies).saturating_mul(ROW_BYTES))
}

pub(in crate::cli) fn disk_space(config: &Config) -> CheckLine {
    const NAME: &str = "disk space";
    let need = disk_need(config);
    let there = existing(&config.run.state_dir);
    match disk::free(&there) {
        Ok(free) => {
            let detail = format!("{} MiB free, about {} MiB needed at {}", free >> 20, need >> 20, there.display());
            if free < need { CheckLine::failed(NAME, detail) } else { CheckLine::ok(NAME, detail) }
        }
        Err(why) => CheckLine::failed(NAME, format!("{}: {why}", there.display())),
    }
}

pub(super) fn port(port: u16) -> CheckLine {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => CheckLine::ok("port", format!("127.0.0.1:{port} is free")),
        Err(why) => CheckLine::failed("port", format!("127.0.0.1:{port} cannot be had: {why}")),
    }
}

/// Looks up what messages need: secrets, certificates, addresses; nothing is sent.
pub(super) fn notifications(config: &Config) -> Vec<CheckLine> {
    const NAME: &str = "notify";
    let notify = &config.notify;
    if notify.mail.is_none() && notify.webhook.is_empty() && notify.ping.is_none() {
        return Vec::new();
    }
    match Channels::resolve(notify) {
        Ok(channels) => {
            let mut names: Vec<&str> = channels.all().iter().map(|channel| channel.name()).collect();
            names.extend(channels.ping().map(|_| "ping"));
            let detail = format!("{} can be set up; `soakd notify test` sends something", names.join(", "));
            vec![CheckLine::ok(NAME, detail)]
        }
        Err(problems) => problems.into_iter().map(|problem| CheckLine::failed(NAME, problem)).collect(),
    }
}

pub(super) fn secret(name: &'static str, reference: &SecretRef) -> CheckLine {
    match reference.resolve() {
        Ok(_) => match reference.exposure() {
            Some(warning) => CheckLine::warned(name, format!("found, but {warning}")),
            None => CheckLine::ok(name, format!("found in {reference}")),
        },
        Err(why) => CheckLine::failed(name, why.to_string()),
    }
}

pub(super) fn extension_file(extension: &ExtensionConfig) -> CheckLine {
    const NAME: &str = "extension file";
    let path = extension.path.display();
    let digest = match sha256(&extension.path) {
        Ok(digest) => digest,
        Err(why) => return CheckLine::failed(NAME, format!("{path} cannot be read: {why}")),
    };
    match &extension.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&digest) => CheckLine::failed(
            NAME,
            format!("{path} has SHA-256 {digest}, and provider.extension.sha256 says otherwise"),
        ),
        Some(_) => CheckLine::ok(NAME, format!("{path} has the configured SHA-256")),
        None => CheckLine::ok(NAME, format!("{path} has SHA-256 {digest}; none is configured")),
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::Outcome;

    #[test]
    fn a_state_directory_that_is_not_there_yet_can_be_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let wanted = dir.path().join("a/b");
        assert_eq!(state_dir(&wanted).outcome, Outcome::Ok);
        assert!(!wanted.exists());
        std::fs::write(dir.path().join("a"), "").expect("a file");
        assert_eq!(state_dir(&wanted).outcome, Outcome::Failed);
    }

    #[test]
    fn a_library_is_compared_with_its_digest() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.so");
        std::fs::write(&path, "abc").expect("a file");
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut extension = ExtensionConfig {
            path,
            entry_point: "x".into(),
            sha256: Some(digest.to_uppercase()),
            statements: Default::default(),
        };
        assert_eq!(extension_file(&extension).outcome, Outcome::Ok);
        extension.sha256 = Some("0".repeat(64));
        assert_eq!(extension_file(&extension).outcome, Outcome::Failed);
        extension.path = dir.path().join("none.so");
        assert_eq!(extension_file(&extension).outcome, Outcome::Failed);
    }

    #[test]
    fn a_taken_port_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = listener.local_addr().expect("an address").port();
        assert_eq!(port(taken).outcome, Outcome::Failed);
    }
}
