//! Lets the workers of a block work: every one is a thread or a task that does one operation after the other, as fast as it can
//! or at a given rate, until the block is over or somebody stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::course::{Block, Course, Ground, Hand, LanePlan, Ledger};
use super::tally::Tally;
use crate::model::lane::{Lane, LaneFigures};
use crate::target::sql::{Engine, pool::has_own_runtime};
use crate::workload::sync::branch;

/// First and longest wait of a worker whose database does not answer.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often a worker that waits looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the workers of a block share.
pub struct Shift {
    pub tally: Arc<Tally>,
    /// Set when everybody is to stop after the operation in work.
    pub stop: Arc<AtomicBool>,
    /// True if the first error that nobody expects is to end the load.
    pub fail_fast: bool,
    /// Set when it has, or when the load ends early for any other reason.
    pub over: AtomicBool,
    pub ends: Option<Instant>,
    /// Operations done, for whoever shows that something happens.
    pub operations: Arc<AtomicU64>,
}

impl Shift {
    fn is_over(&self, now: Instant) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.over.load(Ordering::Relaxed)
            || self.ends.is_some_and(|ends| now >= ends)
    }
}

/// The pace of a lane: when its next operation is due, whoever does it.
struct Pace {
    rate: f64,
    from: Instant,
    begun: AtomicU64,
}

impl Pace {
    /// Returns when the next operation is to begin; at once where there is no rate.
    fn next(&self) -> Option<Instant> {
        (self.rate > 0.0).then(|| {
            let n = self.begun.fetch_add(1, Ordering::Relaxed);
            self.from + Duration::from_secs_f64(n as f64 / self.rate)
        })
    }
}

/// Starts all workers of a block; `done` hears of every one that has ended, and its other end closes without that if one panicked.
pub fn start<C: Course>(
    course: &C,
    (ground, block): (&Ground<C::Ledger>, &Block),
    shift: Arc<Shift>,
    engine: Engine,
    done: mpsc::Sender<()>,
) -> std::io::Result<()> {
    let workers: u32 = block.lanes.iter().map(|plan| plan.workers).sum();
    let alone = workers <= ground.pool.spec().size;
    for LanePlan { lane, workers, rate } in block.lanes.iter().cloned() {
        let pace = Arc::new(Pace { rate, from: Instant::now(), begun: AtomicU64::new(0) });
        for worker in 1..=workers {
            let hand = course.hand(ground, lane, worker);
            let (shift, pace, done) = (Arc::clone(&shift), Arc::clone(&pace), done.clone());
            let ground = ground.clone();
            let work = async move {
                at_work(hand, (lane, worker), (&shift, &pace), &ground).await;
                ground.pool.leave();
                // There is room for all of them.
                let _ = done.send(()).await;
            };
            match engine {
                Engine::Async => drop(tokio::spawn(work)),
                Engine::Threads => {
                    let common = Handle::current();
                    let name = format!("{lane}-{worker}");
                    std::thread::Builder::new().name(name).spawn(move || on_this_thread(work, alone, &common))?;
                }
            }
        }
    }
    Ok(())
}

/// Does the work on this thread: with a runtime of its own where it can keep a connection to itself, otherwise with the common
/// one, whose connections go from thread to thread.
fn on_this_thread(work: impl Future<Output = ()>, alone: bool, common: &Handle) {
    let own = alone.then(|| tokio::runtime::Builder::new_current_thread().enable_all().build());
    match own {
        Some(Ok(own)) => {
            has_own_runtime();
            own.block_on(work);
        }
        // A machine that has no descriptors left has said so elsewhere.
        Some(Err(_)) | None => common.block_on(work),
    }
}

/// One worker's work.
async fn at_work<L: Ledger>(
    mut hand: Box<dyn Hand>,
    who: (Lane, u32),
    (shift, pace): (&Shift, &Pace),
    ground: &Ground<L>,
) {
    let mut away = 0u32;
    let mut waits = branch(ground.seed, 0, u32::from(who.0.number()) * 1000 + who.1, 0);
    while !shift.is_over(Instant::now()) {
        let due = pace.next();
        if let Some(due) = due
            && !wait_until(due, shift).await
        {
            return;
        }
        let from = due.unwrap_or_else(Instant::now);
        // A late start takes nothing from the time that the operation itself has.
        let turn = hand.turn(Instant::now() + ground.limit).await;
        shift.operations.fetch_add(1, Ordering::Relaxed);
        if let Some(met) = shift.tally.note(who, &turn, from.elapsed()) {
            let unexpected = [(met.name, 1)].into();
            let figures = LaneFigures { unexpected, ..LaneFigures::default() };
            ground.journal.carry(who.0, figures, met.finding.into_iter().collect());
            if shift.fail_fast {
                shift.over.store(true, Ordering::Relaxed);
            }
        }
        if turn.done {
            return;
        }
        let lost = turn.error.as_ref().is_some_and(|error| error.lost);
        away = if lost { (away + 1).min(8) } else { 0 };
        if lost {
            let wait = (BACK_OFF.0 * 2u32.saturating_pow(away - 1)).min(BACK_OFF.1);
            let jitter = waits.random_range(0.5..=1.0);
            wait_until(Instant::now() + wait.mul_f64(jitter), shift).await;
        }
    }
}

/// Waits; false when the work is over before.
async fn wait_until(due: Instant, shift: &Shift) -> bool {
    loop {
        let now = Instant::now();
        if shift.is_over(now) {
            return false;
        }
        if now >= due {
            return true;
        }
        tokio::time::sleep((due - now).min(LOOK_EVERY)).await;
    }
}
