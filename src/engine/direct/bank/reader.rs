//! Counts the accounts, then reads a page somewhere or begins to stream them all.

use rand::RngExt;

use super::hand::Task;
use super::ledger::{Begin, Done};
use super::rows;
use crate::checker::bank::Rule;
use crate::engine::direct::course::Turn;
use crate::target::sql::{Access, Lease, Session, SqlError, SqlValue};
use crate::workload::bank::sql;

/// Rows after which a stream is abandoned.
const STREAMED: usize = 50;

impl Task<'_> {
    pub(super) async fn read(mut self, session: &mut Lease<'_>) -> Turn {
        let op = match self.begin(Begin::Look) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let seen = self.read_some(session).await;
        self.end(session, op, seen.map(|seen| Done { seen, ..Done::default() })).await
    }

    async fn read_some(&mut self, session: &mut Session) -> Result<bool, SqlError> {
        if self.snapshot {
            session.begin(Access::Read).await?;
        }
        let counted = session.query(sql::COUNT, &[]).await?;
        let count = rows::single(&counted).and_then(SqlValue::int).unwrap_or(0);
        let (limit, offset, found) = if self.key.no % 2 == 1 {
            let limit = self.rng.random_range(5..=25);
            let offset = self.rng.random_range(0..count.max(1));
            let found = session.query(sql::PAGE, &[SqlValue::Int(limit), SqlValue::Int(offset)]).await?;
            (limit, offset, found)
        } else {
            (STREAMED as i64, 0, session.stream(sql::ALL, &[], STREAMED).await?)
        };
        if self.snapshot {
            session.commit().await?;
        }
        let seen = self.look(&found);
        let what = if self.key.no % 2 == 1 { "a page" } else { "a stream" };
        let must = (count - offset).clamp(0, limit);
        if self.snapshot && found.len() as i64 != must {
            let text = format!(
                "{what} of {limit} accounts from {offset} on had {} rows of {must} that the count of {count} promises",
                found.len()
            );
            self.violated(Rule::Page, &text);
        }
        // What is no text has no place in the order of names; that it is none is told above.
        let named: Vec<_> = seen.iter().filter(|seen| !seen.name.is_empty()).collect();
        for pair in named.windows(2).filter(|pair| pair[0].name >= pair[1].name) {
            let how = if pair[0].name == pair[1].name { "twice" } else { "out of order" };
            let text =
                format!("{what} has account {} {} {how}, after account {}", pair[1].id, pair[1].name, pair[0].id);
            self.violated(Rule::Page, &text);
        }
        Ok(!found.is_empty())
    }
}
