//! Checks of a database that workers drive themselves: its file or its server, and the rights to make tables there.

use std::time::Duration;

use super::{CheckLine, local, remote};
use crate::config::{Config, SqliteConfig, TargetConfig};

/// Makes all checks of this file.
pub(super) async fn examine(config: &Config) -> Vec<CheckLine> {
    match &config.target {
        TargetConfig::Sqlite(sqlite) => vec![file(sqlite)],
        TargetConfig::Postgres(postgres) => {
            let limit: Duration = config.timeouts.connect.get();
            vec![local::secret("postgres url", &postgres.url), remote::postgres(&postgres.url, limit).await]
        }
        _ => Vec::new(),
    }
}

fn file(sqlite: &SqliteConfig) -> CheckLine {
    const NAME: &str = "sqlite file";
    let Some(path) = &sqlite.path else { return CheckLine::ok(NAME, "it is made in the state directory") };
    let there = local::existing(path);
    let writable = rustix::fs::access(&there, rustix::fs::Access::WRITE_OK);
    match writable {
        Ok(()) if there.is_dir() && path.exists() => {
            CheckLine::failed(NAME, format!("{} is a directory", path.display()))
        }
        Ok(()) if path.exists() => CheckLine::warned(
            NAME,
            format!("{} is there already: its tables of the workload are dropped at every cycle", path.display()),
        ),
        Ok(()) => CheckLine::ok(NAME, format!("{} can be made", path.display())),
        Err(why) => CheckLine::failed(NAME, format!("{} cannot be written: {why}", there.display())),
    }
}
