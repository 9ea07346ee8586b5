//! Looks after soakd itself while it runs: samples what its processes use and what the machine has left, tells of it, and asks
//! for a pause when the disk is nearly full; and forgets what has had its time. It owns no limit and no judgement, and it
//! touches neither workers nor target.

pub mod look;
pub mod retention;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::event::RunEvent;
use crate::checker::own::{Limits, Own, Sample};
use crate::clock::Clock;
use crate::config::LimitsConfig;
use crate::model::finding::Finding;
use crate::model::status::Health;
use look::{Look, Machine, Sampler};

/// Parts whose memory is kept as a series of its own: the state file takes a bounded number of names in all.
const SERIES_MAX: usize = 32;

/// Who is told of what is found about soakd itself.
#[derive(Clone)]
pub struct Listener {
    pub findings: Arc<dyn Fn(Vec<Finding>) + Send + Sync>,
    /// Returns the cycle in work, or the last one.
    pub cycle: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Writes down measured values by name, at a time of the daemon's clock.
pub type Series = Box<dyn Fn(i64, &[(&str, f64)]) + Send + Sync>;
/// Returns the processes that there are besides the daemon: part and process id.
pub type Parts = Box<dyn Fn() -> Vec<(String, u32)> + Send + Sync>;

/// What self-care reads and whom it tells.
pub struct Wires {
    pub state_dir: PathBuf,
    pub clock: Clock,
    /// The limits in force; a reload may change them.
    pub limits: watch::Receiver<LimitsConfig>,
    pub parts: Parts,
    pub series: Series,
    pub listener: Listener,
    pub events: broadcast::Sender<RunEvent>,
    /// Why no new cycle is to begin, as long as that is so.
    pub pause: watch::Sender<Option<String>>,
}

/// Looks every `limits.every`, of the system's time, until it is stopped.
pub async fn watch<M: Machine>(wires: Wires, machine: M, stop: CancellationToken) {
    let mut sampler = Sampler::new(machine);
    let mut own = Own::new(limits(&wires.limits.borrow()));
    loop {
        let parts = (wires.parts)();
        let (now_ms, halt) = (wires.clock.now_ms(), stop.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let look = sampler.look(&parts, now_ms, &|| halt.is_cancelled());
            (sampler, look)
        });
        let look = match looked.await {
            Ok((back, look)) => {
                sampler = back;
                look
            }
            Err(error) => {
                tracing::error!("self-care has ended: {error}");
                return;
            }
        };
        own.set_limits(limits(&wires.limits.borrow()));
        tell(&wires, &mut own, look);
        let every = wires.limits.borrow().every.get();
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Hands one look to everybody whom it concerns.
fn tell(wires: &Wires, own: &mut Own, look: Look) {
    let state_dir = wires.state_dir.display().to_string();
    let sample = Sample {
        health: &look.health,
        state_dir: &state_dir,
        disk_known: look.disk_known,
        cycle: (wires.listener.cycle)(),
        clock_jump_ms: look.passed.jump_ms,
    };
    let findings = own.judge(&sample);
    let pause = own.pause(&sample);
    if look.passed.asleep_ms >= 1000 {
        tracing::warn!(seconds = look.passed.asleep_ms / 1000, "the machine slept; that is down-time");
    }
    let changed = wires.pause.send_if_modified(|now| {
        let changed = now.is_some() != pause.is_some();
        if changed {
            now.clone_from(&pause);
        }
        changed
    });
    if changed && pause.is_none() {
        tracing::info!(free_mib = look.health.disk_free_bytes >> 20, "there is enough free space again");
    }
    let series = series(&look);
    let named: Vec<(&str, f64)> = series.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    (wires.series)(look.health.at_ms, &named);
    if !findings.is_empty() {
        (wires.listener.findings)(findings);
    }
    // Nobody may be listening.
    let _ = wires.events.send(RunEvent::Health(Box::new(look.health)));
}

/// Returns the values that are kept as series.
fn series(look: &Look) -> Vec<(String, f64)> {
    let Health { parts, disk_free_bytes, state_file_bytes, .. } = &look.health;
    let memory = parts.iter().take(SERIES_MAX).map(|usage| (format!("rss.{}", usage.part), usage.rss_bytes as f64));
    let mut series: Vec<(String, f64)> = memory.collect();
    if look.disk_known {
        series.push(("disk.free".into(), *disk_free_bytes as f64));
    }
    series.push(("state.file".into(), *state_file_bytes as f64));
    series
}

/// Returns the limits as the judge takes them.
fn limits(config: &LimitsConfig) -> Limits {
    Limits {
        daemon_memory: config.daemon_memory.get(),
        worker_memory: config.worker_memory.get(),
        threads: u64::from(config.threads),
        descriptors: config.descriptors,
        disk_warn: config.disk_warn.get(),
        disk_pause: config.disk_pause.get(),
        state_file: config.state_file.get(),
        clock_jump_ms: u64::try_from(config.clock_jump.get().as_millis()).unwrap_or(u64::MAX),
    }
}
