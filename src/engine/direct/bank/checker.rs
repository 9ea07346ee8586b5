//! Looks one of the first accounts up in every way, with the values that must stand there.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::hand::Task;
use super::ledger::{Begin, Done};
use super::rows::{self, Seen};
use crate::checker::bank::{Rule, Seal};
use crate::engine::direct::course::{NOTHING_TO_DO, Turn};
use crate::target::sql::{Access, Lease, Session, SqlError, SqlValue};
use crate::workload::bank::{Key, complex, sql};

const PAGE: i64 = 10;
/// An id that no account reaches.
const NEVER: i64 = 999_999_999;
/// Transfers of an account that are listed.
const TRANSFERS: usize = 200;

/// What a look-up of one value must find.
enum Expect {
    Text(String),
    Real(f64),
    Uuid(Uuid),
    Time(DateTime<Utc>),
    Complex((f64, f64)),
    Int(i64),
    Bool(bool),
}

impl Expect {
    fn holds(&self, value: &SqlValue) -> bool {
        match self {
            Self::Text(text) => value.text() == Some(text),
            Self::Real(real) => value.real() == Some(*real),
            Self::Uuid(uuid) => value.uuid() == Some(*uuid),
            Self::Time(time) => value.time() == Some(*time),
            Self::Complex(number) => value.text().and_then(complex) == Some(*number),
            Self::Int(int) => value.int() == Some(*int),
            Self::Bool(truth) => value.bool() == Some(*truth),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("'{text}'"),
            Self::Real(real) => real.to_string(),
            Self::Uuid(uuid) => uuid.to_string(),
            Self::Time(time) => time.to_rfc3339(),
            Self::Complex((real, imaginary)) => format!("the complex number {real} {imaginary:+}j"),
            Self::Int(int) => int.to_string(),
            Self::Bool(truth) => truth.to_string(),
        }
    }
}

impl Task<'_> {
    pub(super) async fn check(mut self, session: &mut Lease<'_>) -> Turn {
        let op = match self.begin(Begin::Look) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let seen = self.check_one(session).await;
        if matches!(seen, Ok(false)) {
            self.note(NOTHING_TO_DO);
        }
        self.end(session, op, seen.map(|seen| Done { seen, ..Done::default() })).await
    }

    async fn check_one(&mut self, session: &mut Lease<'_>) -> Result<bool, SqlError> {
        if self.snapshot {
            session.begin(Access::Read).await?;
        }
        let mut page = self.first(session, PAGE).await?;
        let looked = self.draw(&mut page).and_then(|seen| seen.key.map(|key| (seen, key)));
        if let Some((seen, key)) = &looked {
            self.by_keys(session, seen).await?;
            self.sums(session, seen).await?;
            self.transfers(session, seen).await?;
            self.values(session, seen, *key).await?;
        }
        if self.snapshot {
            session.commit().await?;
        }
        Ok(looked.is_some())
    }

    /// Looks for what is not there and for what is.
    async fn by_keys(&mut self, session: &mut Session, seen: &Seen) -> Result<(), SqlError> {
        // No account is made by a checker.
        let never = self.identity.name(self.key);
        let rows = session.query(sql::BY_NAME, &[SqlValue::Text(never.clone())]).await?;
        if !rows.is_empty() {
            self.violated(Rule::Lookup, &format!("an account {never} was found, which nobody made"));
        }
        let rows = session.query(sql::BY_ID, &[SqlValue::Int(NEVER)]).await?;
        if !rows.is_empty() {
            self.violated(Rule::Lookup, &format!("an account with id {NEVER} was found, which nobody made"));
        }
        let rows = session.query(sql::BY_ID, &[SqlValue::Int(seen.id)]).await?;
        let found = self.look(&rows);
        match found.as_slice() {
            [same] if same.name == seen.name => {}
            // Somebody may have deleted it in between.
            [] if !self.snapshot => {}
            [] => self.gone(seen, "its row"),
            [other, ..] => {
                let text = format!(
                    "{} rows with id {} were found, the first {}, and {} before",
                    found.len(),
                    seen.id,
                    other.name,
                    seen.name
                );
                self.violated(Rule::Lookup, &text);
            }
        }
        Ok(())
    }

    fn gone(&mut self, seen: &Seen, what: &str) {
        let text = format!("account {} {} was there, and {what} was not in the same snapshot", seen.id, seen.name);
        self.violated(Rule::Lookup, &text);
    }

    async fn sums(&mut self, session: &mut Session, seen: &Seen) -> Result<(), SqlError> {
        for (what, statement) in [("sent", sql::SENT), ("received", sql::RECEIVED)] {
            let rows = session.query(statement, &[SqlValue::Int(seen.id)]).await?;
            let sum = rows::single(&rows).and_then(SqlValue::int);
            if sum.is_none_or(|sum| sum < 0) {
                let text = format!("account {} {what} {sum:?} in all", seen.id);
                self.violated(Rule::Transfers, &text);
            }
        }
        Ok(())
    }

    async fn transfers(&mut self, session: &mut Session, seen: &Seen) -> Result<(), SqlError> {
        let id = [SqlValue::Int(seen.id)];
        let listed = session.query(sql::TRANSFERS, &id).await?;
        let streamed = session.stream(sql::TRANSFERS, &id, TRANSFERS).await?;
        if self.snapshot && listed != streamed {
            let text = format!(
                "account {} has {} transfers in a list and {} other ones in a stream",
                seen.id,
                listed.len(),
                streamed.len()
            );
            self.violated(Rule::Transfers, &text);
        }
        for row in &listed {
            let transfer = rows::transfer(self.identity, row);
            let content = transfer.content;
            let its = content.from == seen.id || content.to == seen.id;
            if !its || content.amount <= 0 || !matches!(transfer.seal, Seal::Intact(_)) || !transfer.wrong.is_empty() {
                let text = format!(
                    "transfer {} of {} from account {} to account {}, listed for account {}, is not as it was made",
                    transfer.id, content.amount, content.from, content.to, seen.id
                );
                self.violated(Rule::Transfers, &text);
            }
        }
        Ok(())
    }

    /// Looks single values up, each of another type.
    async fn values(&mut self, session: &mut Session, seen: &Seen, key: Key) -> Result<(), SqlError> {
        let account = self.identity.account(key);
        let number = complex(&account.risk_score).unwrap_or_default();
        let (id, name) = (SqlValue::Int(seen.id), SqlValue::Text(seen.name.clone()));
        let lookups = [
            ("name", sql::NAME, &id, Expect::Text(seen.name.clone())),
            ("risk_score", sql::RISK, &id, Expect::Text(account.risk_score)),
            ("risk_score", sql::RISK, &id, Expect::Complex(number)),
            ("interest_rate", sql::RATE, &id, Expect::Real(account.interest_rate)),
            ("ref_id", sql::REF_ID, &id, Expect::Uuid(account.ref_id)),
            ("created_at", sql::CREATED, &id, Expect::Time(account.created_at)),
            ("id", sql::ID, &name, Expect::Int(seen.id)),
            ("length(name)", sql::LENGTH, &id, Expect::Int(seen.name.len() as i64)),
            ("interest_rate >= 7.5", sql::HIGH_RATE, &id, Expect::Bool(account.interest_rate >= 7.5)),
        ];
        for (what, statement, param, expect) in lookups {
            let rows = session.query(statement, std::slice::from_ref(param)).await?;
            match rows::single(&rows) {
                Some(value) if expect.holds(value) && rows.len() == 1 => {}
                None if !self.snapshot => return Ok(()),
                None => self.gone(seen, what),
                Some(value) => {
                    let text = format!(
                        "{what} of account {} {} is {} in {} rows, and must be {}",
                        seen.id,
                        seen.name,
                        value.shown(),
                        rows.len(),
                        expect.shown()
                    );
                    self.violated(Rule::Lookup, &text);
                }
            }
        }
        Ok(())
    }
}
