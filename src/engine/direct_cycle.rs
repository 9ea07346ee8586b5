//! What a cycle of a direct workload does in place of syncing: its verification, and the report of a load that ended at its
//! first unexpected error.

use std::path::PathBuf;

use anyhow::bail;

use super::crew::CrewError;
use super::cycle::{Stage, of_database};
use super::direct::crash::Crash;
use super::verify::{self, Verified};
use super::worker::protocol::{Command, Reply};
use crate::model::ids::DbNo;
use crate::model::verdict::{CheckResult, Verdict};
use crate::store::LINES;

/// The one database of a direct workload.
pub(super) const DB: DbNo = 1;

impl Stage {
    /// Has the worker hold the database against what was acknowledged.
    pub(super) async fn verify_direct(&self, cycle: u64, mut unsettled: Vec<String>) -> anyhow::Result<Verified> {
        let mut checks = Vec::new();
        let (mut rows, mut content) = (0, String::new());
        match self.crew.ask(DB, Command::Verify { cycle }).await {
            Ok(Reply::Verified { checks: made, rows: held, content: digest, unsettled: open, lines, crash }) => {
                checks = made;
                (rows, content) = (held, digest);
                unsettled.extend(open);
                lines.iter().for_each(|line| tracing::info!(cycle, "{line}"));
                let bytes = serde_json::to_vec(&lines).unwrap_or_default();
                self.ledger.with(|store| store.put_blob(self.ledger.run(), LINES, &bytes))?;
                self.note_crash(crash)?;
            }
            Ok(other) => bail!("the database answered {other:?} to a verification"),
            Err(CrewError::Lost(error)) => return Err(error),
            Err(CrewError::Failed(error)) => {
                let mut met = of_database(cycle, "verify", DB, (error.side, error.kind), &error.message);
                met.code = error.code.clone();
                self.ledger.record_findings(vec![met])?;
                checks.push(unread(error.message.clone()));
            }
            Err(CrewError::Down(reason)) => checks.push(unread(reason)),
        }
        self.crew.barrier().await?;
        verify::write_down(self, cycle, &checks)?;
        verify::health(self, cycle, unsettled, &mut checks);
        Ok(Verified { checks, rows: [(DB, rows)].into(), content })
    }

    /// Writes the report of a load that ended at its first unexpected error, once in a life.
    pub(super) fn note_crash(&self, crash: Option<Box<Crash>>) -> anyhow::Result<()> {
        let Some(crash) = crash.filter(|_| self.crash.get().is_none()) else { return Ok(()) };
        let config = &self.setup.config;
        let provider = self.crew.provider.get().cloned().unwrap_or_default();
        let path = crash.write(&config.run.state_dir, &provider, config)?;
        tracing::error!("{}: {}; crash report: {}", crash.place, crash.cause, path.display());
        let _ = self.crash.set(path);
        Ok(())
    }

    /// Returns where the report of a crash is, for whoever says why the run ended.
    pub(super) fn crash_report(&self) -> Option<&PathBuf> {
        self.crash.get()
    }
}

/// Returns the check of a database that could not be read: nothing of it is proven.
fn unread(reason: String) -> CheckResult {
    CheckResult {
        check: "direct.read".into(),
        verdict: Some(Verdict::Inconclusive),
        summary: format!("the database could not be read: {reason}"),
        evidence: Vec::new(),
        evidence_total: 0,
    }
}
