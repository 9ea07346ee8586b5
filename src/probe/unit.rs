//! The main process of a systemd unit on this machine: asked of systemd, or, where its tool is not there, looked up among the
//! control groups.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

/// Time that systemd may take to answer.
const DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 12 } else { 3 });
/// Control groups that are looked at.
const GROUPS_MAX: usize = 10_000;

/// Why the main process of a unit is not known.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("systemd knows no unit {0}; its full name has an ending, as in \"postgresql.service\"")]
    Unknown(String),
    #[error("the unit {unit} has no main process (it is {state})")]
    NotRunning { unit: String, state: String },
    #[error("the unit {unit} cannot be looked up: {why}")]
    Failed { unit: String, why: String },
}

/// Returns the main process of a unit.
pub async fn main_pid(unit: &str) -> Result<u32, UnitError> {
    find("systemctl", Path::new("/sys/fs/cgroup"), unit).await
}

async fn find(program: &str, groups: &Path, unit: &str) -> Result<u32, UnitError> {
    let failed = |why: String| UnitError::Failed { unit: unit.into(), why };
    let mut command = Command::new(program);
    command.args(["show", "--property=LoadState,ActiveState,MainPID", "--", unit]);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(DEADLINE, command.output()).await {
        Err(_) => Err(failed(format!("systemctl did not answer within {DEADLINE:?}"))),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => in_groups(groups, unit)
            .ok_or_else(|| failed("there is no systemctl, and no control group of that name".into())),
        Ok(Err(error)) => Err(failed(format!("systemctl cannot be started: {error}"))),
        Ok(Ok(said)) if !said.status.success() => {
            let why = String::from_utf8_lossy(&said.stderr).lines().next().unwrap_or_default().trim().to_owned();
            in_groups(groups, unit).ok_or_else(|| failed(format!("systemctl says: {why}")))
        }
        Ok(Ok(said)) => understood(unit, &String::from_utf8_lossy(&said.stdout)),
    }
}

/// Reads lines such as `MainPID=4711`.
fn understood(unit: &str, text: &str) -> Result<u32, UnitError> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
    if value("LoadState") == "not-found" {
        return Err(UnitError::Unknown(unit.into()));
    }
    match value("MainPID").parse() {
        Ok(pid @ 1..) => Ok(pid),
        Ok(0) => Err(UnitError::NotRunning { unit: unit.into(), state: value("ActiveState").into() }),
        Err(_) => Err(UnitError::Failed { unit: unit.into(), why: "systemctl's answer has no MainPID".into() }),
    }
}

/// Returns the oldest process of the unit's control group, which is the main one where nothing forked away from it.
fn in_groups(root: &Path, unit: &str) -> Option<u32> {
    let mut seen = 0;
    let mut directories: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).ok().into_iter().flatten().flatten() {
            seen += 1;
            if seen > GROUPS_MAX {
                return None;
            }
            // Metadata of an entry is that of a link itself.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_str() == Some(unit) {
                let pids = std::fs::read_to_string(entry.path().join("cgroup.procs")).unwrap_or_default();
                if let Some(pid) = pids.lines().find_map(|line| line.trim().parse().ok().filter(|pid| *pid > 0)) {
                    return Some(pid);
                }
            }
            directories.push(entry.path());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that answers as systemctl would.
    fn stub(dir: &Path, script: &str) -> String {
        let path = dir.join("systemctl");
        // Written by another process: a file that this one still has open for writing in some fork cannot be executed.
        let text = format!("#!/bin/sh\n{script}\n");
        let status = std::process::Command::new("sh")
            .args(["-c", "printf '%s' \"$1\" > \"$2\"", "sh", &text, &path.display().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[tokio::test]
    async fn systemd_is_asked_and_its_answer_understood() {
        let dir = tempfile::tempdir().unwrap();
        let ask = async |script: &str| find(&stub(dir.path(), script), dir.path(), "db.service").await;
        let answer = "test \"$1 $3 $4\" = 'show -- db.service' && printf 'MainPID=4711\\nLoadState=loaded\\nActiveState=active\\n'";
        assert_eq!(ask(answer).await.unwrap(), 4711);
        let said = |error: UnitError| error.to_string();
        let unknown = ask("printf 'MainPID=0\\nLoadState=not-found\\nActiveState=inactive\\n'").await.unwrap_err();
        assert!(said(unknown).contains("knows no unit db.service"));
        let down = ask("printf 'MainPID=0\\nLoadState=loaded\\nActiveState=failed\\n'").await.unwrap_err();
        assert!(said(down).contains("it is failed"));
        assert!(said(ask("echo hello").await.unwrap_err()).contains("no MainPID"));
        assert!(said(ask("echo 'no bus' >&2; exit 1").await.unwrap_err()).contains("no bus"));
    }

    #[tokio::test]
    async fn without_systemctl_the_control_group_tells() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("system.slice/db.service");
        std::fs::create_dir_all(&group).unwrap();
        let ask = || find("/no/such/systemctl", dir.path(), "db.service");
        assert!(ask().await.unwrap_err().to_string().contains("no control group"));
        std::fs::write(group.join("cgroup.procs"), "812\n813\n").unwrap();
        assert_eq!(ask().await.unwrap(), 812);
    }
}
