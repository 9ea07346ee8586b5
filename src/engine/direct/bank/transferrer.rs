//! Moves money between two of the first accounts.

use rand::RngExt;

use super::hand::Task;
use super::ledger::{Begin, Done, Party};
use super::rows::{self, Seen};
use crate::checker::bank::Rule;
use crate::engine::direct::course::Turn;
use crate::model::finding::Kind;
use crate::target::sql::{Access, Dialect, Lease, Session, SqlError, SqlValue};
use crate::workload::bank::{Content, sql};

/// Accounts of the page that the two are taken from.
const PAGE: i64 = 50;

/// Returns an account as the ledger knows it.
pub(super) fn party(seen: &Seen) -> Option<Party> {
    Some(Party { key: seen.key?.pack(), id: seen.id })
}

impl Task<'_> {
    pub(super) async fn transfer(mut self, session: &mut Lease<'_>) -> Turn {
        let mut page = match self.first(session, PAGE).await {
            Ok(page) => page,
            Err(error) => return self.failed(error),
        };
        let (from, to) = match (self.draw(&mut page), self.draw(&mut page)) {
            // A page that holds a row twice is for readers to find.
            (Some(from), Some(to)) if from.id != to.id => (from, to),
            _ => return self.nothing(session).await,
        };
        let (Some(sender), Some(receiver)) = (party(&from), party(&to)) else { return self.nothing(session).await };
        let amount = self.rng.random_range(1..=(from.balance / 4).max(1));
        let begin = Begin::Transfer { key: self.key.pack(), from: sender, to: receiver, amount };
        let op = match self.begin(begin) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let moved = self.move_money(session, &from, &to, amount).await;
        self.end(session, op, moved.map(|()| Done::default())).await
    }

    async fn move_money(&mut self, session: &mut Session, from: &Seen, to: &Seen, amount: i64) -> Result<(), SqlError> {
        session.begin(Access::Write).await?;
        let sender = self.take(session, from).await?;
        let receiver = self.take(session, to).await?;
        let (Some(sender), Some(receiver)) = (sender, receiver) else {
            return Err(SqlError::of_workload(Kind::MissingAccount, "both accounts of a transfer must exist"));
        };
        if sender < amount {
            return Err(SqlError::of_workload(Kind::InsufficientFunds, "the account holds less than is to be sent"));
        }
        for (statement, seen) in [(sql::DEBIT, from), (sql::CREDIT, to)] {
            let changed = session.execute(statement, &[SqlValue::Int(amount), SqlValue::Int(seen.id)]).await?;
            if changed != 1 {
                self.violated(Rule::ReadBack, &format!("an update of account {} changed {changed} rows", seen.id));
            }
        }
        let content = Content { from: from.id, to: to.id, amount };
        let row = [
            SqlValue::Int(from.id),
            SqlValue::Int(to.id),
            SqlValue::Int(amount),
            SqlValue::Uuid(self.identity.reference(self.key, content)),
            SqlValue::Time(self.identity.transfer_time(self.key)),
        ];
        session.execute(sql::TRANSFER, &row).await?;
        for (seen, must) in [(from, sender - amount), (to, receiver + amount)] {
            let rows = session.query(sql::BALANCE, &[SqlValue::Int(seen.id)]).await?;
            let is = rows::single(&rows).and_then(SqlValue::int);
            if is != Some(must) {
                let is = is.map_or_else(|| "nothing".into(), |is| is.to_string());
                let text = format!(
                    "account {} {} must hold {must} after {amount} was moved, and holds {is}",
                    seen.id, seen.name
                );
                self.violated(Rule::ReadBack, &text);
            }
        }
        session.commit().await
    }

    /// Reads what an account holds, and keeps others from changing it where the database can.
    async fn take(&mut self, session: &mut Session, seen: &Seen) -> Result<Option<i64>, SqlError> {
        let statement = match self.dialect {
            Dialect::Sqlite => sql::TAKE_SQLITE,
            Dialect::Postgres => sql::TAKE_POSTGRES,
        };
        let rows = session.query(statement, &[SqlValue::Text(seen.name.clone())]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.first().and_then(SqlValue::int);
        if id != Some(seen.id) {
            self.violated(
                Rule::Lookup,
                &format!("account {} was found with id {id:?}, and with {} before", seen.name, seen.id),
            );
        }
        Ok(row.get(1).and_then(SqlValue::int))
    }
}
