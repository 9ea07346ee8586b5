//! Inserts a batch of accounts in one transaction.

use super::hand::Task;
use super::ledger::{Begin, Done};
use super::rows;
use crate::checker::bank::Rule;
use crate::engine::direct::course::Turn;
use crate::target::sql::{Access, Lease, Session, SqlError};
use crate::workload::bank::{Identity, Key, sql};

/// Inserts accounts and returns their ids.
pub(super) async fn batch(
    session: &mut Session,
    identity: Identity,
    first: Key,
    rows: u32,
) -> Result<Vec<i64>, SqlError> {
    let mut ids = Vec::with_capacity(rows as usize);
    session.begin(Access::Write).await?;
    for index in 0..rows {
        let params = rows::params(identity.account(first.row(index)));
        let answer = session.query(sql::INSERT, &params).await?;
        ids.extend(rows::single(&answer).and_then(|id| id.int()));
    }
    session.commit().await?;
    Ok(ids)
}

/// Returns the lowest and the highest id.
pub(super) fn span(ids: &[i64]) -> Option<(i64, i64)> {
    ids.iter().copied().min().zip(ids.iter().copied().max())
}

impl Task<'_> {
    pub(super) async fn insert(mut self, session: &mut Lease<'_>) -> Turn {
        let (first, rows) = (self.key, self.batch);
        let high = self.ground.journal.with(|ledger| ledger.high);
        let op = match self.begin(Begin::Insert { first: first.pack(), rows, high }) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let inserted = batch(session, self.identity, first, rows).await;
        if let Ok(ids) = &inserted
            && (ids.len() != rows as usize || !ids.is_sorted_by(|one, two| one < two))
        {
            self.violated(Rule::Ids, &format!("{rows} accounts were given the ids {ids:?}"));
        }
        let done = inserted.map(|ids| Done { ids: span(&ids), ..Done::default() });
        self.end(session, op, done).await
    }
}
