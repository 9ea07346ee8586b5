//! The embedded target as a managed process: started, waited for, restarted on the same port, its last log lines kept.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;

use super::child::{self, LAST_WORDS_MAX, Part, describe};
use crate::model::schema::TableSpec;

const LAST_LINES: usize = 12;

/// What the embedded target is started with.
#[derive(Clone)]
pub struct ManagedSpec {
    pub program: PathBuf,
    pub api_key: SecretString,
    pub store: ManagedStore,
    pub table: TableSpec,
    pub rls: bool,
    pub plants: Vec<String>,
    pub testing: bool,
    /// The run that the store belongs to.
    pub run: String,
    pub ready_max: Duration,
}

/// Where it keeps its rows.
#[derive(Clone)]
pub enum ManagedStore {
    Sqlite(PathBuf),
    Postgres(SecretString),
}

/// The target cannot have its port; the text is the target's own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PortTaken(String);

/// Exit code of a target that cannot listen.
const CANNOT_LISTEN: i32 = 69;

/// A running target.
pub struct Managed {
    pub port: u16,
    pub version: String,
    pub pid: u32,
    stdin: Option<ChildStdin>,
    exited: tokio::sync::watch::Receiver<Option<String>>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

impl Managed {
    /// Starts the target on `port` (0: any) and waits until it says where it listens.
    pub async fn start(spec: &ManagedSpec, port: u16, log: mpsc::Sender<String>) -> anyhow::Result<Self> {
        let Part { mut child, mut stdin, stdout, stderr } = child::start(&spec.program, &["target", "--managed"])?;
        let store = match &spec.store {
            ManagedStore::Sqlite(path) => json!({ "sqlite": path }),
            ManagedStore::Postgres(url) => json!({ "postgres": url.expose_secret() }),
        };
        let hello = json!({
            "api_key": spec.api_key.expose_secret(),
            "listen": format!("127.0.0.1:{port}"),
            "store": store,
            "table": spec.table,
            "rls": spec.rls,
            "plants": spec.plants,
            "testing": spec.testing,
            "run": spec.run,
        });
        stdin.write_all(format!("{hello}\n").as_bytes()).await.context("configuring the embedded target")?;
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let log_done = tokio::spawn(read_log(BufReader::new(stderr), Arc::clone(&last_lines), log));
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        let read = tokio::time::timeout(spec.ready_max, (&mut reader).take(65_536).read_line(&mut line)).await;
        match read {
            Ok(Ok(n)) if n > 0 => {}
            Ok(_) => {
                let status = child.wait().await.context("waiting for the end of the embedded target")?;
                let _ = tokio::time::timeout(LAST_WORDS_MAX, log_done).await;
                if status.code() == Some(CANNOT_LISTEN) {
                    bail!(PortTaken(joined(&last_lines)));
                }
                let status = describe(status);
                bail!("the embedded target ended before it was ready ({status}): {}", joined(&last_lines));
            }
            Err(_) => bail!("the embedded target was not ready within {:?} (timeouts.target_ready)", spec.ready_max),
        }
        let ready: serde_json::Value =
            serde_json::from_str(&line).context("the target's first line is not its address")?;
        let port = ready["listening"]
            .as_str()
            .and_then(|address| address.rsplit(':').next())
            .and_then(|port| port.parse().ok())
            .context("the target did not say where it listens")?;
        let version = ready["version"].as_str().unwrap_or("unknown").to_owned();
        let pid = child.id().unwrap_or_default();
        let (ended, exited) = tokio::sync::watch::channel(None);
        tokio::spawn(async move {
            let how = wait(&mut child).await;
            let _ = tokio::time::timeout(LAST_WORDS_MAX, log_done).await;
            // Nobody may be interested any more.
            let _ = ended.send(Some(how));
            drop(reader);
        });
        Ok(Self { port, version, pid, stdin: Some(stdin), exited, last_lines })
    }

    /// Returns a future that waits until the target ends, and says how; it borrows nothing.
    pub fn exited(&self) -> impl Future<Output = String> + use<> {
        let mut exited = self.exited.clone();
        async move {
            let how = exited.wait_for(Option::is_some).await.map(|how| how.clone());
            how.ok().flatten().unwrap_or_else(|| "unknown end".into())
        }
    }

    /// Returns the last lines of the target's log.
    pub fn last_lines(&self) -> Vec<String> {
        self.last_lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Asks the target to stop and waits for it, at most `patience`.
    pub async fn stop(mut self, patience: Duration) {
        drop(self.stdin.take());
        // A target that does not stop in time is ended with the daemon.
        let _ = tokio::time::timeout(patience, self.exited()).await;
    }
}

async fn wait(child: &mut Child) -> String {
    match child.wait().await {
        Ok(status) => describe(status),
        Err(error) => format!("its end could not be read: {error}"),
    }
}

fn joined(lines: &Arc<Mutex<VecDeque<String>>>) -> String {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().cloned().collect::<Vec<_>>().join(" | ")
}

async fn read_log(
    mut stderr: BufReader<tokio::process::ChildStderr>,
    last: Arc<Mutex<VecDeque<String>>>,
    log: mpsc::Sender<String>,
) {
    loop {
        let mut bytes = Vec::new();
        match (&mut stderr).take(4096).read_until(b'\n', &mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line.clone());
        }
        // A full channel drops log lines rather than stopping the target at its pipe.
        let _ = log.try_send(line);
    }
}
