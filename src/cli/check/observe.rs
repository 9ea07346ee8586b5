//! Checks of where the target can be measured. What cannot be read is a warning: a run goes on without it, and says so.

use tokio::sync::watch;

use super::CheckLine;
use crate::config::ObserveConfig;
use crate::engine::measure::outside::{Outside, Reader};
use crate::probe::files;

/// Tries every place that is configured.
pub(super) async fn examine(config: &ObserveConfig) -> Vec<CheckLine> {
    let mut outside = Outside::new(watch::channel(config.clone()).1, None);
    let part = outside.part().await;
    let figures = outside.figures(Reader::Series, false).await;
    let mut lines = Vec::new();
    let pid = part.as_ref().and_then(|part| part.pid);
    for (name, key, given) in [
        ("target process", "observe.target_pid", config.target_pid.is_some()),
        ("target process", "observe.target_unit", config.target_unit.is_some()),
        ("target metrics", "observe.target_metrics", config.target_metrics.is_some()),
        ("target postgres", "observe.target_postgres", config.target_postgres.is_some()),
    ] {
        if !given {
            continue;
        }
        lines.push(match (outside.missing().get(key), pid) {
            (Some(why), _) => CheckLine::warned(name, format!("{key}: {why}")),
            (None, Some(pid)) if name == "target process" => CheckLine::ok(name, format!("{key}: it is process {pid}")),
            (None, _) => CheckLine::ok(name, format!("{key}: {} values in all were read", figures.len())),
        });
    }
    if !config.target_files.is_empty() {
        lines.push(match files::databases(&config.target_files) {
            Ok(sizes) => CheckLine::ok("target files", format!("{} bytes in databases", sizes.database)),
            Err(why) => CheckLine::warned("target files", format!("observe.target_files: {why}")),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[tokio::test]
    async fn every_place_that_is_given_is_tried_and_none_else() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert!(examine(&ObserveConfig::default()).await.is_empty());
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.db"), [0; 10]).unwrap();
        let config = ObserveConfig {
            target_pid: Some(std::process::id()),
            target_metrics: Some("http://127.0.0.1:1/metrics".into()),
            target_files: vec![dir.path().join("a.db")],
            ..ObserveConfig::default()
        };
        let lines = examine(&config).await;
        let said: Vec<_> = lines.iter().map(|line| (line.name, line.outcome)).collect();
        let (ok, warned) = (Outcome::Ok, Outcome::Warned);
        assert_eq!(said, [("target process", ok), ("target metrics", warned), ("target files", ok)], "{lines:?}");
        assert!(lines[1].detail.contains("refused"), "{lines:?}");
    }
}
