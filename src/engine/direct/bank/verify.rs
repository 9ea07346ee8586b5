//! Goes through all accounts and transfers, page by page, and hands what it finds to the checks.

use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64;

use super::iblt::Iblt;
use super::ledger::{BankLedger, Begin};
use super::pairs::{Pair, Pairs};
use super::rows::{self, Seen};
use super::settle::{doubts, told};
use crate::checker::bank::{
    AccountRow, AccountsAudit, Author, Books, Difference, Evidence, Expected, Lines, PairGap, Seal, Side, TransferRow,
    TransfersAudit, Unsettled, judge,
};
use crate::engine::direct::course::{Ground, Op, Verified};
use crate::target::sql::{Access, Dialect, Lease, SqlError, SqlValue};
use crate::workload::bank::{Identity, Key, key, sql};

/// Accounts that are there and must not be, whose ids are looked up.
const LOOKED_UP: usize = 20;

/// What is held against the tables.
struct Scan<'a> {
    ground: &'a Ground<BankLedger>,
    session: Lease<'a>,
    identity: Identity,
    batch: u32,
    ledger: BankLedger,
    open: Vec<(Op, Begin)>,
    dropped: u64,
    accounts: AccountsAudit,
    transfers: TransfersAudit,
    /// The accounts of the table.
    found: Iblt,
    /// Acknowledged transfers without those of the table.
    left: Pairs,
    content: u64,
}

/// Verifies the tables of a cycle.
pub(super) async fn verify(ground: &Ground<BankLedger>, seed: u64, batch: u32) -> Result<Verified, SqlError> {
    let session = ground.pool.get(Instant::now() + ground.limit).await?;
    let ledger = ground.journal.with(|ledger| ledger.clone());
    let (open, dropped) = ground.journal.open_operations();
    let left = ledger.pairs.clone();
    let mut scan = Scan {
        ground,
        session,
        identity: Identity::new(seed),
        batch,
        ledger,
        open,
        dropped,
        accounts: AccountsAudit::new(key::told),
        transfers: TransfersAudit::new(key::told),
        found: Iblt::default(),
        left,
        content: 0,
    };
    let gathered = scan.gather().await;
    scan.session.rollback().await;
    gathered?;
    scan.judged().await
}

impl Scan<'_> {
    fn fresh(&mut self) {
        self.session.until(Instant::now() + self.ground.limit);
    }

    /// Reads everything in one snapshot.
    async fn gather(&mut self) -> Result<(), SqlError> {
        self.fresh();
        self.session.begin(Access::Read).await?;
        if self.session.dialect() == Dialect::Postgres {
            self.session.script(sql::POSTGRES_SNAPSHOT).await?;
        }
        let mut after = i64::MIN;
        loop {
            self.fresh();
            let page = self.session.query(sql::SCAN_ACCOUNTS, &[SqlValue::Int(after)]).await?;
            page.iter().for_each(|row| self.account(&rows::account(self.identity, row)));
            let Some(last) = page.last().and_then(|row| row.first()).and_then(SqlValue::int) else { break };
            after = last;
        }
        let mut after = i64::MIN;
        loop {
            self.fresh();
            let page = self.session.query(sql::SCAN_TRANSFERS, &[SqlValue::Int(after)]).await?;
            page.iter().for_each(|row| self.transfer(row));
            let Some(last) = page.last().and_then(|row| row.first()).and_then(SqlValue::int) else { break };
            after = last;
        }
        Ok(())
    }

    fn account(&mut self, seen: &Seen) {
        let Seen { id, name, balance, key, wrong } = seen;
        let author = key.map(|key| {
            let packed = key.pack();
            self.found.add(packed);
            let followed = self.ledger.accounts.get(&packed);
            let expected = Expected {
                initial: self.identity.balance(key),
                net: followed.map_or(0, |followed| followed.net),
                doubtful: followed.is_some_and(|followed| followed.open > 0),
            };
            Author { key: packed, expected }
        });
        self.content = self.content.wrapping_add(xxh3_64(format!("{name} {balance}").as_bytes()));
        let row = AccountRow { id: *id, name, balance: *balance, author, wrong: wrong.clone() };
        self.accounts.row(&row);
    }

    fn transfer(&mut self, row: &Vec<SqlValue>) {
        let seen = rows::transfer(self.identity, row);
        let (from, to) = (rows::joined(self.identity, row, 6), rows::joined(self.identity, row, 7));
        let content = seen.content;
        self.transfers.row(&TransferRow {
            id: seen.id,
            from: content.from,
            to: content.to,
            amount: content.amount,
            from_exists: from.is_some(),
            to_exists: to.is_some(),
            seal: seen.seal,
            wrong: seen.wrong,
        });
        self.content = self.content.wrapping_add(xxh3_64(seen.reference.as_bytes()));
        let (Some((_, Some(from))), Some((_, Some(to)))) = (from, to) else { return };
        if let Seal::Intact(key) | Seal::Altered(key) = seen.seal {
            let taken = Pair { count: -1, amount: -content.amount, keys: key };
            self.left.add((from.pack(), to.pack()), taken);
        }
    }

    /// Names the accounts in which ledger and table differ, and the names that more than one of them has.
    async fn difference(&mut self) -> Result<(Difference, Vec<(String, i64)>), SqlError> {
        let found = std::mem::take(&mut self.found);
        let peeled = self.ledger.live.clone().less(&found);
        let (deleting, inserting, _) = doubts(&self.open);
        let side = |packed: u64, doubtful: bool| {
            let key = Key::unpack(packed)?;
            let name = self.identity.name(key);
            Some(Side { operation: key.operation().pack(), index: key.index, of: self.batch, name, id: None, doubtful })
        };
        let missing = peeled.more.iter().filter_map(|key| side(*key, deleting.contains(key))).collect();
        let batch = |packed: u64| Key::unpack(packed).map_or(0, |key| key.operation().pack());
        let mut extra: Vec<Side> =
            peeled.less.iter().filter_map(|key| side(*key, inserting.contains(&batch(*key)))).collect();
        let mut twice = Vec::new();
        for side in extra.iter_mut().take(LOOKED_UP) {
            self.fresh();
            let rows = self.session.query(sql::ID, &[SqlValue::Text(side.name.clone())]).await?;
            side.id = rows.iter().filter_map(|row| row.first()?.int()).max();
            // A name that is there twice is one too often.
            if rows.len() > 1 {
                twice.push((side.name.clone(), rows.len() as i64));
            }
        }
        let complete = peeled.complete;
        Ok((Difference { missing, extra, complete, expected: self.ledger.count() }, twice))
    }

    /// Names the accounts between which other transfers are there than were acknowledged.
    fn gaps(&self) -> Vec<PairGap> {
        let (.., pairs) = doubts(&self.open);
        let name = |packed: u64| {
            let name = Key::unpack(packed).map(|key| self.identity.name(key)).unwrap_or_default();
            match self.ledger.accounts.get(&packed) {
                Some(followed) => format!("account {} {name}", followed.id),
                None => format!("account {name}"),
            }
        };
        let there = |key: u64| !self.ledger.is_gone(key);
        self.left
            .iter()
            .filter(|((from, to), _)| there(*from) && there(*to))
            // The same operations with another sum: one of their rows is altered, which its reference tells.
            .filter(|(_, pair)| pair.count != 0 || pair.keys != 0)
            .map(|((from, to), pair)| PairGap {
                from: name(from),
                to: name(to),
                count: pair.count,
                amount: pair.amount,
                keys: pair.keys,
                doubtful: pairs.contains(&(from, to)),
            })
            .collect()
    }

    async fn judged(mut self) -> Result<Verified, SqlError> {
        let (difference, twice) = self.difference().await?;
        let gaps = self.gaps();
        let mut open = Lines::default();
        self.open.iter().for_each(|(op, begin)| open.add(|| told(*op, begin)));
        let sums = &self.ledger.sums;
        let books = Books {
            inserts: sums.inserts,
            transfers: sums.transfers,
            looks: sums.looks,
            inserted: sums.inserted,
            deleted: sums.deleted,
            initial: sums.initial,
            taken: sums.taken,
            unknown: sums.unknown,
            overflow: self.ledger.overflow || self.left.overflow || self.ledger.pairs.overflow,
            violations: self.ledger.violations.clone(),
        };
        let rows = self.accounts.rows() + self.transfers.rows();
        let unsettled = Unsettled { open, dropped: self.dropped };
        let (accounts, transfers) = (self.accounts, self.transfers);
        let evidence = Evidence { books, accounts, transfers, difference, gaps, twice, unsettled };
        Ok(Verified { checks: judge(&evidence), rows, content: format!("{:016x}", self.content) })
    }
}
