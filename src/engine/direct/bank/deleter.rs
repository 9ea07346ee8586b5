//! Deletes one of the first accounts.

use super::hand::Task;
use super::ledger::{Begin, Done};
use super::rows::Seen;
use super::transferrer::party;
use crate::checker::bank::Rule;
use crate::engine::direct::course::Turn;
use crate::target::sql::{Lease, Session, SqlError, SqlValue};
use crate::workload::bank::sql;

/// Accounts of the page that the one is taken from.
const PAGE: i64 = 100;

impl Task<'_> {
    pub(super) async fn delete(mut self, session: &mut Lease<'_>) -> Turn {
        let mut page = match self.first(session, PAGE).await {
            Ok(page) => page,
            Err(error) => return self.failed(error),
        };
        let Some(seen) = self.draw(&mut page) else { return self.nothing(session).await };
        let Some(party) = party(&seen) else { return self.nothing(session).await };
        let op = match self.begin(Begin::Delete(party)) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let deleted = self.delete_one(session, &seen).await;
        self.end(session, op, deleted).await
    }

    async fn delete_one(&mut self, session: &mut Session, seen: &Seen) -> Result<Done, SqlError> {
        let rows = session.query(sql::DELETE, &[SqlValue::Int(seen.id)]).await?;
        let Some(row) = rows.first() else {
            // Somebody else was faster.
            self.note("gone");
            return Ok(Done::default());
        };
        let name = row.first().and_then(SqlValue::text).unwrap_or_default();
        if name != seen.name || rows.len() > 1 {
            let text = format!(
                "account {} {} was to be deleted, and {} rows were, the first {name:.60?}",
                seen.id,
                seen.name,
                rows.len()
            );
            self.violated(Rule::Lookup, &text);
        }
        Ok(Done { seen: true, balance: row.get(1).and_then(SqlValue::int), ..Done::default() })
    }
}
