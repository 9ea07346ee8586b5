//! The lock resolution: each client writes the same dataset once, with a bounded number of attempts and a growing, jittered
//! wait after each that met the others. Each attempt is one operation.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::client::Client;
use super::ledger::{Begin, CatalogLedger, Done};
use super::{settle, sql};
use crate::engine::direct::course::{Ground, Op, Turn};
use crate::model::lane::{End, Lane};

/// The dataset that all write.
const DATASET: u32 = 1;
/// Attempts that may meet anything but the others, such as a server that is away.
const INTERRUPTIONS_MAX: u32 = 50;
/// Shortest and longest time that a client counts for each of the others.
const SLOT: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(20)];
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// Wait for each attempt that met something else.
const INTERRUPTION: Duration = Duration::from_millis(100);
/// Longest of those.
const INTERRUPTION_MAX: Duration = Duration::from_secs(1);

/// Names of the notes by attempts.
const NOTES: [&str; 16] = [
    "attempts.1",
    "attempts.2",
    "attempts.3",
    "attempts.4",
    "attempts.5",
    "attempts.6",
    "attempts.7",
    "attempts.8",
    "attempts.9",
    "attempts.10",
    "attempts.11",
    "attempts.12",
    "attempts.13",
    "attempts.14",
    "attempts.15",
    "attempts.more",
];

/// What a client knows of its own write.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// An attempt of which nobody knows whether it happened.
    pub(super) unknown: Option<(Op, Begin)>,
    /// It is over, whatever it came to.
    over: bool,
}

impl Attempts {
    /// Returns what the journal knows of a client.
    pub(super) fn of(ground: &Ground<CatalogLedger>, worker: u32) -> Self {
        let (open, _) = ground.journal.open_operations();
        let unknown = open.into_iter().find(|(op, begin)| {
            (op.lane, op.worker) == (Lane::LockResolution, worker) && matches!(begin, Begin::Write(..))
        });
        let client = ground.journal.with(|ledger| ledger.clients.get(&worker).copied().unwrap_or_default());
        Self { unknown, over: client.succeeded || client.gave_up }
    }
}

/// Does the next attempt.
pub(super) async fn turn(client: &mut Client, deadline: Instant) -> Turn {
    if client.attempts.over {
        return Turn { done: true, ..client.read(DATASET, deadline).await };
    }
    if client.attempts.unknown.is_some() {
        return look(client, deadline).await;
    }
    let attempts_max = client.shared.spec.attempts.max(1);
    let before = known(client);
    let started = Instant::now();
    let mut turn = client.write(DATASET, deadline, before.attempts + 1 >= attempts_max).await;
    let after = known(client);
    if turn.end == End::Acknowledged {
        let note = NOTES[(after.attempts.max(1) as usize - 1).min(NOTES.len() - 1)];
        turn.notes.push((note, 1));
        turn.done = true;
    } else if after.interruptions >= INTERRUPTIONS_MAX {
        turn.done = true;
    }
    client.attempts.over = turn.done;
    if !turn.done {
        let wait = if after.attempts > before.attempts {
            jitter(client, after.attempts, started.elapsed())
        } else {
            (INTERRUPTION * (after.interruptions + 1)).min(INTERRUPTION_MAX)
        };
        tokio::time::sleep_until((started.max(Instant::now()) + wait).min(deadline).into()).await;
    }
    turn
}

fn known(client: &Client) -> super::ledger::Client {
    client.ground.journal.with(|ledger| ledger.clients.get(&client.worker).copied().unwrap_or_default())
}

/// Returns a random wait. Each attempt doubles the time over which the clients spread, so that few are left after the second
/// one and hardly any after the third.
fn jitter(client: &mut Client, attempts: u32, elapsed: Duration) -> Duration {
    let spread = elapsed.clamp(SLOT[0], SLOT[1]) * client.shared.spec.clients.max(1);
    let most = spread.saturating_mul(1 << attempts.min(8)).min(WAIT_MAX);
    most.mul_f64(client.rng.random_range(0.0..1.0))
}

/// Looks whether an attempt with an unknown end happened; nobody tries again as long as that is open.
async fn look(client: &mut Client, deadline: Instant) -> Turn {
    let mut turn = client.read(DATASET, deadline).await;
    let Some((op, begin)) = client.attempts.unknown.take() else { return turn };
    let row = async {
        let mut lease = client.ground.pool.get(deadline).await?;
        sql::read(&mut lease, DATASET).await
    };
    let end = match row.await {
        Ok(row) => client.ground.journal.with(|ledger| settle::certain(ledger, op, &begin, &row)),
        Err(_) => None,
    };
    let interruptions = known(client).interruptions;
    match end {
        Some(end) => {
            client.ground.journal.end(op, end, &Done { settled: true, ..Done::default() });
            turn.done = end == End::Acknowledged;
        }
        // It may still be under way; it is settled when the load is over.
        None if interruptions >= INTERRUPTIONS_MAX => turn.done = true,
        None => {
            client.attempts.unknown = Some((op, begin));
            tokio::time::sleep_until((Instant::now() + INTERRUPTION).min(deadline).into()).await;
        }
    }
    client.attempts.over = turn.done;
    turn
}
