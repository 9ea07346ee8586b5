//! Processes that the daemon starts of itself: its workers and its target. What both need is here: pipes, a bare
//! environment, an end with the daemon, and how that end is told.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, bail};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Variables that a part inherits; everything else, secrets above all, stays with the daemon.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "TZ"];

/// How long the last log lines of a process that has ended are waited for: what it started itself may hold its pipe open.
pub const LAST_WORDS_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// A started process with its pipes.
pub struct Part {
    pub child: Child,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

/// Starts `program` with these arguments.
pub fn start(program: &Path, args: &[&str]) -> anyhow::Result<Part> {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| INHERITED.iter().any(|known| name == known)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C on a terminal is for the daemon, which tells its parts what to do.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {} {}", program.display(), args.join(" ")))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        bail!("the pipes of {} {} could not be taken", program.display(), args.join(" "));
    };
    Ok(Part { child, stdin, stdout, stderr })
}

/// Describes how a process ended, with the name of the signal.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal} ({})", signal_name(signal)),
        (None, None) => "unknown end".into(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => "signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(describe(ExitStatus::from_raw(6)), "signal 6 (SIGABRT)");
        assert_eq!(describe(ExitStatus::from_raw(256)), "exit code 1");
    }
}
