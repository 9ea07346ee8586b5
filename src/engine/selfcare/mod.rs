//! Looks after soakd itself while it runs: samples what its processes and the target use and what the machine has left, tells of
//! it, and asks for a pause when the disk is nearly full; and forgets what has had its time. It owns no limit and no judgement,
//! and it touches neither workers nor target.

mod batch;
pub mod look;
pub mod retention;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::event::RunEvent;
use super::measure::part::Scene;
use crate::checker::own::{Limits, Own, Sample};
use crate::clock::Clock;
use crate::config::{LimitsConfig, ObserveConfig};
use crate::model::finding::Finding;
use crate::model::series::Moment;
use crate::probe::clock::Passed;
use batch::Batch;
use look::{Look, Machine, Sampler};

/// Who is told of what is found about soakd itself.
#[derive(Clone)]
pub struct Listener {
    pub findings: Arc<dyn Fn(Vec<Finding>) + Send + Sync>,
    /// Returns the cycle in work, or the last one.
    pub cycle: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Writes down what was measured at some moments, in order; may take a while.
pub type Series = Arc<dyn Fn(Vec<Moment>) + Send + Sync>;
/// Returns what there is to be seen besides the daemon.
pub type Around = Box<dyn Fn() -> Scene + Send + Sync>;

/// What self-care reads and whom it tells.
pub struct Wires {
    pub state_dir: PathBuf,
    pub clock: Clock,
    /// The limits in force; a reload may change them.
    pub limits: watch::Receiver<LimitsConfig>,
    /// How often samples are taken; a reload may change it.
    pub observe: watch::Receiver<ObserveConfig>,
    pub scene: Around,
    pub series: Series,
    /// Told of every look that was judged.
    pub judged: Box<dyn Fn() + Send + Sync>,
    pub listener: Listener,
    pub events: broadcast::Sender<RunEvent>,
    /// Why no new cycle is to begin, as long as that is so.
    pub pause: watch::Sender<Option<String>>,
}

/// Takes samples every `observe.every` and judges every `limits.every`, of the system's time, until it is stopped.
pub async fn watch<M: Machine>(wires: Wires, machine: M, stop: CancellationToken) {
    let mut sampler = Sampler::new(machine);
    let mut own = Own::new(limits(&wires.limits.borrow()));
    let (mut batch, mut passed) = (Batch::new(), Passed::default());
    let (mut sampled_at, mut judged_at) = (None, None);
    loop {
        let begun = Instant::now();
        let scene = (wires.scene)();
        let (now_ms, halt) = (wires.clock.now_ms(), stop.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let look = sampler.look(&scene, now_ms, &|| halt.is_cancelled());
            (sampler, look)
        });
        let mut look = match looked.await {
            Ok((back, look)) => {
                sampler = back;
                look
            }
            Err(error) => {
                tracing::error!("self-care has ended: {error}");
                return;
            }
        };
        let (every, judge_every) = (wires.observe.borrow().every.get(), wires.limits.borrow().every.get());
        let tick = every.min(judge_every);
        // A look that comes a little early is the one that is due.
        let due = |last: Option<Instant>, every| last.is_none_or(|at| begun.duration_since(at) + tick / 2 >= every);
        if due(sampled_at, every) {
            sampled_at = Some(begun);
            let moment = Moment { at_ms: now_ms, values: std::mem::take(&mut look.figures) };
            if let Some(full) = batch.add(moment) {
                write(&wires.series, full).await;
            }
        }
        passed = passed.and(look.passed);
        if due(judged_at, judge_every) {
            judged_at = Some(begun);
            own.set_limits(limits(&wires.limits.borrow()));
            look.passed = std::mem::take(&mut passed);
            tell(&wires, &mut own, look);
        }
        tokio::select! {
            () = tokio::time::sleep(tick.saturating_sub(begun.elapsed())) => {}
            () = stop.cancelled() => break,
        }
    }
    write(&wires.series, batch.take()).await;
}

/// Writes samples down where waiting for the disk holds nobody up.
async fn write(series: &Series, moments: Vec<Moment>) {
    let series = Arc::clone(series);
    if let Err(error) = tokio::task::spawn_blocking(move || series(moments)).await {
        tracing::error!("measured values were not kept: {error}");
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
    (wires.judged)();
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
    if !findings.is_empty() {
        (wires.listener.findings)(findings);
    }
    // Nobody may be listening.
    let _ = wires.events.send(RunEvent::Health(Box::new(look.health)));
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
