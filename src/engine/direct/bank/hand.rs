//! A worker of the bank: begins an operation in the journal, lets its role do it, and ends it there.

use std::time::Instant;

use async_trait::async_trait;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::ledger::{BankLedger, Begin, Done};
use super::rows::{self, Seen};
use crate::checker::bank::{Rule, Violation};
use crate::engine::direct::course::{Ground, Hand, NOTHING_TO_DO, Op, Turn};
use crate::model::finding::Kind;
use crate::model::lane::{End, Lane};
use crate::target::sql::{Backend, Dialect, Isolation, Lease, Row, SqlError, SqlValue};
use crate::workload::bank::{Identity, Key, sql};
use crate::workload::sync::branch;

/// Violations of one operation that are written down at most.
const VIOLATIONS_MAX: usize = 5;

/// A worker.
pub(super) struct BankHand {
    pub(super) ground: Ground<BankLedger>,
    pub(super) seed: u64,
    pub(super) batch: u32,
    pub(super) dialect: Dialect,
    pub(super) lane: Lane,
    pub(super) worker: u32,
}

/// One operation of a worker.
pub(super) struct Task<'a> {
    pub(super) ground: &'a Ground<BankLedger>,
    pub(super) identity: Identity,
    pub(super) dialect: Dialect,
    pub(super) batch: u32,
    /// The key of the operation.
    pub(super) key: Key,
    pub(super) rng: ChaCha8Rng,
    /// True if a reading transaction sees one state of the database.
    pub(super) snapshot: bool,
    violations: Vec<Violation>,
    /// Set when there was nothing to do.
    note: Option<&'static str>,
}

#[async_trait]
impl Hand for BankHand {
    async fn turn(&mut self, deadline: Instant) -> Turn {
        let Ground { journal, cycle, pool, .. } = &self.ground;
        let no = journal.last(self.lane, self.worker) + 1;
        let Some(key) = Key::of(*cycle, self.lane, self.worker, no) else {
            let what = format!("{} {} has no number for operation {no}", self.lane, self.worker);
            return Turn { done: true, ..Turn::met(SqlError::of_workload(Kind::Config, what)) };
        };
        let snapshot = !matches!(pool.spec().backend, Backend::Postgres { isolation: Isolation::ReadCommitted, .. });
        let place = u32::from(self.lane.number()) * 1_000 + self.worker;
        let task = Task {
            ground: &self.ground,
            identity: Identity::new(self.seed),
            dialect: self.dialect,
            batch: self.batch,
            key,
            rng: branch(self.seed, *cycle, place, no as u32),
            snapshot,
            violations: Vec::new(),
            note: None,
        };
        let mut session = match pool.get(deadline).await {
            Ok(session) => session,
            Err(error) => return task.failed(error),
        };
        match self.lane {
            Lane::Inserter => task.insert(&mut session).await,
            Lane::Transferrer => task.transfer(&mut session).await,
            Lane::Reader => task.read(&mut session).await,
            Lane::Checker => task.check(&mut session).await,
            _ => task.delete(&mut session).await,
        }
    }
}

impl Task<'_> {
    /// Writes down that the operation begins.
    pub(super) fn begin(&self, begin: Begin) -> Result<Op, Turn> {
        let begun = self.ground.journal.begin(self.key.lane, self.key.worker, begin);
        begun.map_err(Turn::unwritten)
    }

    /// Takes back what an error left, and writes down how the operation ended.
    pub(super) async fn end(mut self, session: &mut Lease<'_>, op: Op, result: Result<Done, SqlError>) -> Turn {
        let violations = std::mem::take(&mut self.violations);
        let (turn, done) = match result {
            Ok(done) => {
                let notes = self.note.map(|note| (note, 1)).into_iter().collect();
                (Turn { notes, ..Turn::acknowledged() }, Done { violations, ..done })
            }
            Err(error) => {
                session.rollback().await;
                (Turn::met(error), Done { violations, ..Done::default() })
            }
        };
        self.ground.journal.end(op, turn.end, &done);
        turn
    }

    /// Writes down an operation that could not even begin.
    pub(super) fn failed(self, error: SqlError) -> Turn {
        let op = match self.begin(Begin::Look) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        self.ground.journal.end(op, End::Refused, &Done { violations: self.violations, ..Done::default() });
        Turn { end: End::Refused, error: Some(error), notes: Vec::new(), done: false }
    }

    /// Writes down an operation that found nothing to do.
    pub(super) async fn nothing(mut self, session: &mut Lease<'_>) -> Turn {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let op = match self.begin(Begin::Look) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        self.note(NOTHING_TO_DO);
        self.end(session, op, Ok(Done::default())).await
    }

    /// Counts the operation under a name too.
    pub(super) fn note(&mut self, note: &'static str) {
        self.note = Some(note);
    }

    /// Takes note of what must not be.
    pub(super) fn violated(&mut self, rule: Rule, text: &str) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation::of(rule, &format!("{}: {text}", self.key)));
        }
    }

    /// Reads the first accounts by name.
    pub(super) async fn first(&mut self, session: &mut Lease<'_>, limit: i64) -> Result<Vec<Row>, SqlError> {
        session.query(sql::PAGE, &[SqlValue::Int(limit), SqlValue::Int(0)]).await
    }

    /// Takes one of the accounts at random out of a page.
    pub(super) fn draw(&mut self, page: &mut Vec<Row>) -> Option<Seen> {
        while !page.is_empty() {
            let row = page.swap_remove(self.rng.random_range(0..page.len()));
            // What nobody of this run wrote stays as it is: the checks must find it.
            if let Some(seen) = rows::brief(self.identity, &row) {
                return Some(seen);
            }
        }
        None
    }

    /// Looks at the values of accounts.
    pub(super) fn look(&mut self, read: &[Row]) -> Vec<Seen> {
        let seen: Vec<Seen> = read.iter().map(|row| rows::account(self.identity, row)).collect();
        for Seen { id, name, balance, key, wrong } in &seen {
            if key.is_none() {
                self.violated(
                    Rule::Value,
                    &format!("account {id} has the name {name:.60?}, which nobody of this run gave"),
                );
            }
            if *balance < 0 {
                self.violated(Rule::Funds, &format!("account {id} {name} held {balance}"));
            }
            for what in wrong {
                self.violated(Rule::Value, &format!("account {id} {name}: {what}"));
            }
        }
        seen
    }
}
