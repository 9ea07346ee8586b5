//! The bank: five roles that insert accounts, move money, read, check and delete, a ledger of what was acknowledged, and the
//! checks that hold it against the tables.

mod checker;
mod deleter;
mod followed;
mod hand;
mod iblt;
mod inserter;
mod ledger;
mod pairs;
mod reader;
mod resolve;
mod rows;
mod settle;
mod transferrer;
mod verify;

use std::time::Instant;

use async_trait::async_trait;

pub use self::ledger::{BankLedger, Begin, Done, Party};

use self::hand::BankHand;
use super::course::{Block, Course, Ground, Hand, Verified};
use super::plan;
use crate::model::finding::Kind;
use crate::model::lane::{End, Lane};
use crate::model::verdict::{CheckResult, Verdict};
use crate::target::sql::{Access, Dialect, Lease, SqlError};
use crate::workload::bank::key::ROWS_MAX;
use crate::workload::bank::{BankSpec, Identity, Key, sql};

/// The workload.
#[derive(Debug, Clone)]
pub struct Bank {
    spec: BankSpec,
    seed: u64,
    dialect: Dialect,
}

/// Checks that have nothing to look at where nobody plays these roles.
const OF_ROLES: &[(&str, &[Lane])] = &[
    ("bank.orphans", &[Lane::Transferrer]),
    ("bank.transfers", &[Lane::Transferrer]),
    ("bank.reads", &[Lane::Reader, Lane::Checker]),
    ("bank.ids", &[Lane::Inserter]),
];

impl Bank {
    /// Marks a check as not exercised whose roles have no worker by choice, instead of leaving the whole cycle in doubt.
    fn excuse(&self, check: &mut CheckResult) {
        let blocks = plan::bank(&self.spec);
        let played = |role: &Lane| blocks.iter().flat_map(|block| &block.lanes).any(|plan| plan.lane == *role);
        let roles = OF_ROLES.iter().find(|(name, _)| *name == check.check).map_or(&[][..], |(_, roles)| *roles);
        if check.verdict == Some(Verdict::Inconclusive) && !roles.is_empty() && !roles.iter().any(played) {
            let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
            check.verdict = None;
            check.summary = format!("not exercised: no worker is {}", words.join(" or "));
        }
    }

    /// Returns the bank of a run.
    pub fn new(spec: BankSpec, seed: u64, dialect: Dialect) -> Self {
        // What a key can carry bounds a batch.
        let batch = spec.batch.clamp(1, ROWS_MAX);
        Self { spec: BankSpec { batch, ..spec }, seed, dialect }
    }

    async fn tables(&self, session: &mut Lease<'_>) -> Result<(), SqlError> {
        session.begin(Access::Write).await?;
        match self.dialect {
            Dialect::Sqlite => session.script(sql::SQLITE).await?,
            Dialect::Postgres => session.script(sql::POSTGRES).await?,
        }
        if self.dialect == Dialect::Postgres && self.spec.foreign_keys {
            session.script(sql::POSTGRES_REFERENCES).await?;
        }
        session.commit().await
    }

    /// Inserts the accounts that a cycle begins with, journalled like any other.
    async fn first(&self, ground: &Ground<BankLedger>, session: &mut Lease<'_>) -> Result<(), SqlError> {
        let journal = &ground.journal;
        let mut left = self.spec.accounts;
        while left > 0 {
            let rows = left.min(self.spec.batch);
            left -= rows;
            let no = journal.last(Lane::Inserter, 0) + 1;
            let Some(first) = Key::of(ground.cycle, Lane::Inserter, 0, no) else {
                return Err(SqlError::of_workload(Kind::Config, "there are too many first accounts"));
            };
            let high = journal.with(|ledger| ledger.high);
            let op = journal.begin(Lane::Inserter, 0, Begin::Insert { first: first.pack(), rows, high })?;
            session.until(Instant::now() + ground.limit);
            let inserted = inserter::batch(session, Identity::new(self.seed), first, rows).await;
            let (end, done) = match &inserted {
                Ok(ids) => (End::Acknowledged, Done { ids: inserter::span(ids), ..Done::default() }),
                Err(error) if error.uncertain => (End::Indeterminate, Done::default()),
                Err(_) => (End::Refused, Done::default()),
            };
            journal.end(op, end, &done);
            inserted?;
        }
        Ok(())
    }
}

#[async_trait]
impl Course for Bank {
    type Ledger = BankLedger;

    fn blocks(&self) -> Vec<Block> {
        plan::bank(&self.spec)
    }

    fn ledger(&self) -> BankLedger {
        BankLedger::new(self.seed)
    }

    async fn begin(&self, ground: &Ground<BankLedger>) -> Result<(), SqlError> {
        let mut session = ground.pool.get(Instant::now() + ground.limit).await?;
        // An earlier life may have ended in the middle of this; what it wrote is about to be gone.
        let op = ground.journal.begin(Lane::Inserter, 0, Begin::Anew)?;
        ground.journal.end(op, End::Acknowledged, &Done::default());
        let begun = match self.tables(&mut session).await {
            Ok(()) => self.first(ground, &mut session).await,
            Err(error) => Err(error),
        };
        if begun.is_err() {
            session.rollback().await;
        }
        begun
    }

    fn hand(&self, ground: &Ground<BankLedger>, lane: Lane, worker: u32) -> Box<dyn Hand> {
        let (seed, batch, dialect) = (self.seed, self.spec.batch, self.dialect);
        Box::new(BankHand { ground: ground.clone(), seed, batch, dialect, lane, worker })
    }

    async fn settle(&self, ground: &Ground<BankLedger>) -> Result<Vec<String>, SqlError> {
        settle::settle(ground, self.seed).await
    }

    async fn verify(&self, ground: &Ground<BankLedger>) -> Result<Verified, SqlError> {
        let mut verified = verify::verify(ground, self.seed, self.spec.batch).await?;
        verified.checks.iter_mut().for_each(|check| self.excuse(check));
        Ok(verified)
    }

    fn lines(&self, ground: &Ground<BankLedger>) -> Vec<String> {
        ground.journal.with(|ledger| {
            let sums = &ledger.sums;
            vec![
                format!("Accounts: {} (inserted {}, deleted {})", ledger.count(), sums.inserted, sums.deleted),
                format!("Transfers: {}", sums.transfers),
                format!("Reads and checks: {}", sums.looks),
                format!("Money: {} as it was made, {} of deleted accounts", sums.initial, sums.taken),
            ]
        })
    }
}

#[cfg(test)]
mod tests;
