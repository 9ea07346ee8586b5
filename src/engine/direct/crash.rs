//! The crash report of a load that was to end at its first unexpected error: what, where, the first cause, both tables of
//! errors, and the last operations of every worker.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::config::{Config, flat};
use crate::model::lane::LaneFigures;

/// What a worker knows of the end of its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    pub at_ms: i64,
    /// The first cause, in one sentence.
    pub cause: String,
    /// Who met it: `transferrer 2`.
    pub place: String,
    pub seed: u64,
    pub workload: String,
    pub backend: String,
    /// Where the database is; it is kept as it is.
    pub database: String,
    /// Figures by lane since the load began in this life.
    pub lanes: Vec<(String, LaneFigures)>,
    /// The last operations of every worker, as the journal has them.
    pub recent: Vec<(String, Vec<String>)>,
    /// The journal itself, with what came before.
    pub journal: String,
}

impl Crash {
    /// Writes it into a file below this directory and returns its path; `versions` is what else is known of them.
    pub fn write(&self, dir: &Path, versions: &str, config: &Config) -> anyhow::Result<PathBuf> {
        let dir = dir.join("crashes");
        let time = chrono::DateTime::from_timestamp_millis(self.at_ms).unwrap_or_default();
        let path = dir.join(format!("soakd_crash_{}.txt", time.format("%Y%m%dT%H%M%S%3fZ")));
        let lines: Vec<String> =
            flat::everything(config).into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let versions = format!("soakd {}, {versions}", env!("CARGO_PKG_VERSION"));
        let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, self.text(&versions, &lines)));
        written.with_context(|| format!("writing the crash report {}", path.display()))?;
        Ok(path)
    }

    /// Returns it for people; `versions` and `config` are what else is known.
    pub fn text(&self, versions: &str, config: &[String]) -> String {
        let mut out = String::new();
        let time = chrono::DateTime::from_timestamp_millis(self.at_ms).map(|t| t.to_rfc3339()).unwrap_or_default();
        let _ = writeln!(out, "soakd crash report\n==================\n");
        for (name, value) in [
            ("What", &*self.cause),
            ("Where", &self.place),
            ("When", &time),
            ("Workload", &self.workload),
            ("Backend", &self.backend),
            ("Database", &format!("{} (kept)", self.database)),
            ("Journal", &self.journal),
            ("Seed", &self.seed.to_string()),
            ("Versions", versions),
        ] {
            let _ = writeln!(out, "{name:<9} {value}");
        }
        for (title, table) in [
            ("Unexpected errors", (|f| &f.unexpected) as fn(&LaneFigures) -> &std::collections::BTreeMap<String, u64>),
            ("Expected errors", |f| &f.expected),
        ] {
            let _ = writeln!(out, "\n{title}");
            let mut any = false;
            for (lane, figures) in &self.lanes {
                for (name, n) in table(figures) {
                    any = true;
                    let _ = writeln!(out, "  {lane:<20} {name:<40} {n:>8}");
                }
            }
            if !any {
                let _ = writeln!(out, "  none");
            }
        }
        let _ = writeln!(out, "\nOperations");
        for (lane, f) in &self.lanes {
            let (ok, no, open) = (f.acknowledged, f.refused, f.indeterminate);
            let _ = writeln!(out, "  {lane:<20} {ok:>8} acknowledged {no:>8} refused {open:>6} indeterminate");
        }
        let _ = writeln!(out, "\nLast operations of every worker (b: begun, e: ended)");
        for (who, lines) in &self.recent {
            let _ = writeln!(out, "  {who}");
            for line in lines {
                let _ = writeln!(out, "    {line}");
            }
        }
        let _ = writeln!(out, "\nConfiguration (secrets as references)");
        for line in config {
            let _ = writeln!(out, "  {line}");
        }
        out
    }
}
