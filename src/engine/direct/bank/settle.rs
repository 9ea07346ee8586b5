//! Ends the operations of which nobody knows how they ended, by looking at the tables: first transfers, then deletions, then
//! inserts, because each of them can tell something about the next.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::inserter::span;
use super::ledger::{BankLedger, Begin, Done, Party};
use super::resolve::{Undecided, decide};
use super::rows::single;
use crate::engine::direct::course::{Ground, Op};
use crate::model::lane::End;
use crate::target::sql::{Access, Dialect, Lease, SqlError, SqlValue};
use crate::workload::bank::{Content, Identity, Key, sql};

/// How often a server is asked whether it is idle.
const POLL: Duration = Duration::from_millis(50);
/// How much longer than one operation it may be busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines about what could not be settled.
const LINES_MAX: usize = 20;

/// A transfer that has not ended.
#[derive(Clone, Copy)]
struct Open {
    op: Op,
    key: u64,
    from: Party,
    to: Party,
    amount: i64,
}

/// Looks at the tables on behalf of the journal.
struct Look<'a> {
    ground: &'a Ground<BankLedger>,
    session: Lease<'a>,
    identity: Identity,
}

/// Waits until nothing is under way, ends what can be ended, and returns what cannot.
pub(super) async fn settle(ground: &Ground<BankLedger>, seed: u64) -> Result<Vec<String>, SqlError> {
    // What a session that was given up still does must have ended before anybody looks.
    ground.pool.close().await;
    let session = ground.pool.get(Instant::now() + ground.limit).await?;
    let mut look = Look { ground, session, identity: Identity::new(seed) };
    if let Some(line) = look.quiet().await? {
        return Ok(vec![line]);
    }
    look.settle().await?;
    let (open, dropped) = ground.journal.open_operations();
    let mut lines: Vec<String> = open.iter().take(LINES_MAX).map(|(op, begin)| told(*op, begin)).collect();
    if open.len() > LINES_MAX {
        lines.push(format!("and {} more", open.len() - LINES_MAX));
    }
    if dropped > 0 {
        lines.push(format!("the end of {dropped} more operations is unknown, and which they are"));
    }
    Ok(lines)
}

/// Returns an open operation for people.
pub(super) fn told(op: Op, begin: &Begin) -> String {
    let by = format!("{} {}, operation {}", op.lane, op.worker, op.no);
    match begin {
        Begin::Anew => format!("{by}: new tables"),
        Begin::Insert { rows, .. } => format!("{by}: insert of {rows} accounts"),
        Begin::Transfer { from, to, amount, .. } => {
            format!("{by}: transfer of {amount} from account {} to account {}", from.id, to.id)
        }
        Begin::Delete(party) => format!("{by}: deletion of account {}", party.id),
        Begin::Look => format!("{by}: read"),
    }
}

impl Look<'_> {
    /// Gives every look the time of one operation.
    fn fresh(&mut self) {
        self.session.until(Instant::now() + self.ground.limit);
    }

    /// Waits until no other connection has anything under way; returns a line if that does not come.
    async fn quiet(&mut self) -> Result<Option<String>, SqlError> {
        self.fresh();
        if self.session.dialect() == Dialect::Sqlite {
            // Whoever gets the lock is the only one who writes.
            let begun = self.session.begin(Access::Write).await;
            self.session.rollback().await;
            return begun.map(|()| None);
        }
        let application = SqlValue::Text(self.ground.pool.spec().application.clone());
        let until = Instant::now() + self.ground.limit + PATIENCE;
        loop {
            self.fresh();
            let rows = self.session.query(sql::OTHERS_POSTGRES, std::slice::from_ref(&application)).await?;
            let count = |at: usize| rows.first().and_then(|row| row.get(at)?.int()).unwrap_or(0);
            // The server shows one as idle that has not read yet what an earlier life sent before its end: of those that are
            // nobody's any more none may be left.
            let ours = self.ground.pool.counts().open as i64 - 1;
            let busy = count(0).max(count(1) - ours);
            if busy <= 0 {
                return Ok(None);
            }
            if Instant::now() >= until {
                return Ok(Some(format!("{busy} connections of the load are still busy in the database")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn settle(&mut self) -> Result<(), SqlError> {
        let (all, _) = self.ground.journal.open_operations();
        let mut transfers = Vec::new();
        for (op, begin) in &all {
            match begin {
                Begin::Transfer { key, from, to, amount } => {
                    transfers.push(Open { op: *op, key: *key, from: *from, to: *to, amount: *amount });
                }
                Begin::Look | Begin::Anew => self.ground.journal.end(*op, End::Refused, &Done::default()),
                Begin::Insert { .. } | Begin::Delete(_) => {}
            }
        }
        self.transfers(transfers).await?;
        for (op, begin) in &all {
            if let Begin::Delete(party) = begin {
                self.deletion(*op, *party).await?;
            }
        }
        for (op, begin) in &all {
            if let Begin::Insert { first, rows, .. } = begin {
                self.insert(*op, *first, *rows).await?;
            }
        }
        Ok(())
    }

    async fn transfers(&mut self, open: Vec<Open>) -> Result<(), SqlError> {
        let reference = |open: &Open| {
            let content = Content { from: open.from.id, to: open.to.id, amount: open.amount };
            Key::unpack(open.key).map(|key| self.identity.reference(key, content)).unwrap_or_default()
        };
        let with: Vec<(Open, Uuid)> = open.iter().map(|open| (*open, reference(open))).collect();
        let there = self.rows_of(with.iter().map(|(_, reference)| *reference).collect()).await?;
        let mut holds = BTreeMap::new();
        let mut undecided = Vec::new();
        for (open, reference) in with {
            if there.contains(&reference) {
                self.ground.journal.end(open.op, End::Acknowledged, &Done::default());
                continue;
            }
            let mut both = true;
            for party in [open.from, open.to] {
                both &= self.held(party, &mut holds).await?;
            }
            let stale = |ledger: &mut BankLedger| [open.from, open.to].iter().any(|one| ledger.went_before(one.key));
            if both || self.ground.journal.with(stale) {
                self.ground.journal.end(open.op, End::Refused, &Done::default());
            } else {
                undecided.push(open);
            }
        }
        self.undecided(&undecided, &holds);
        Ok(())
    }

    /// Decides by balances what rows cannot tell.
    fn undecided(&self, undecided: &[Open], holds: &BTreeMap<u64, i64>) {
        let journal = &self.ground.journal;
        let unexplained =
            journal.with(|ledger| holds.iter().map(|(key, held)| (*key, held - ledger.expected(*key))).collect());
        let transfers: Vec<Undecided> = undecided
            .iter()
            .map(|open| Undecided { from: open.from.key, to: open.to.key, amount: open.amount })
            .collect();
        for (open, decided) in undecided.iter().zip(decide(&transfers, &unexplained)) {
            let Some(happened) = decided else { continue };
            let end = if happened { End::Acknowledged } else { End::Refused };
            journal.end(open.op, end, &Done::default());
        }
    }

    /// Takes note of what an account holds, or held when it was deleted; returns whether it exists.
    async fn held(&mut self, party: Party, holds: &mut BTreeMap<u64, i64>) -> Result<bool, SqlError> {
        self.fresh();
        let rows = self.session.query(sql::BALANCE, &[SqlValue::Int(party.id)]).await?;
        let balance = single(&rows).and_then(SqlValue::int);
        let known = match balance {
            Some(balance) => Some(balance),
            None => {
                let then = |ledger: &mut BankLedger| ledger.accounts.get(&party.key).and_then(|account| account.gone);
                self.ground.journal.with(then).flatten()
            }
        };
        if let Some(known) = known {
            holds.insert(party.key, known);
        }
        Ok(balance.is_some())
    }

    /// Returns which of the references a transfer has.
    async fn rows_of(&mut self, wanted: BTreeSet<Uuid>) -> Result<HashSet<Uuid>, SqlError> {
        let mut found = HashSet::new();
        let mut after = i64::MIN;
        while !wanted.is_empty() {
            self.fresh();
            let rows = self.session.query(sql::SCAN_REFERENCES, &[SqlValue::Int(after)]).await?;
            let Some(last) = rows.last().and_then(|row| row.first()).and_then(SqlValue::int) else { break };
            found.extend(rows.iter().filter_map(|row| row.get(1)?.uuid()).filter(|uuid| wanted.contains(uuid)));
            after = last;
        }
        Ok(found)
    }

    async fn deletion(&mut self, op: Op, party: Party) -> Result<(), SqlError> {
        self.fresh();
        let rows = self.session.query(sql::NAME, &[SqlValue::Int(party.id)]).await?;
        // What another operation deleted, this one did not.
        let gone = |ledger: &mut BankLedger| ledger.is_gone(party.key) || ledger.went_before(party.key);
        let gone = self.ground.journal.with(gone);
        let (end, seen) = if rows.is_empty() && !gone { (End::Acknowledged, true) } else { (End::Refused, false) };
        self.ground.journal.end(op, end, &Done { seen, ..Done::default() });
        Ok(())
    }

    async fn insert(&mut self, op: Op, first: u64, rows: u32) -> Result<(), SqlError> {
        let mut ids = Vec::new();
        if let Some(first) = Key::unpack(first) {
            for index in 0..rows {
                self.fresh();
                let name = SqlValue::Text(self.identity.name(first.row(index)));
                let found = self.session.query(sql::ID, &[name]).await?;
                ids.extend(single(&found).and_then(SqlValue::int));
            }
        }
        // A batch whose accounts were all deleted has happened too.
        let known = self.ground.journal.with(|ledger| ledger.inserting.get(&first).copied().unwrap_or(false));
        let end = if known || !ids.is_empty() { End::Acknowledged } else { End::Refused };
        self.ground.journal.end(op, end, &Done { ids: span(&ids), ..Done::default() });
        Ok(())
    }
}

/// Returns the keys of accounts that open operations are about: deleted ones, and the first of inserted ones.
pub(super) fn doubts(open: &[(Op, Begin)]) -> (BTreeSet<u64>, BTreeSet<u64>, BTreeSet<(u64, u64)>) {
    let (mut deleting, mut inserting, mut pairs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (_, begin) in open {
        match begin {
            Begin::Delete(party) => drop(deleting.insert(party.key)),
            Begin::Insert { first, .. } => drop(inserting.insert(*first)),
            Begin::Transfer { from, to, .. } => drop(pairs.insert((from.key, to.key))),
            Begin::Anew | Begin::Look => {}
        }
    }
    (deleting, inserting, pairs)
}
