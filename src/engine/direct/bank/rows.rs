//! Rows of the bank as they are read, held against what their names and references promise.

use std::fmt::Display;

use uuid::Uuid;

use crate::checker::bank::Seal;
use crate::target::sql::{Row, SqlValue};
use crate::workload::bank::{Account, Content, Identity, Key, Reference, Values};

/// An account as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) balance: i64,
    /// Who wrote it; `None` of a name that nobody of this run gave.
    pub(super) key: Option<Key>,
    /// Values that are not as they were written.
    pub(super) wrong: Vec<String>,
}

/// A transfer as it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SeenTransfer {
    pub(super) id: i64,
    pub(super) content: Content,
    pub(super) reference: Uuid,
    pub(super) seal: Seal,
}

fn value(row: &Row, at: usize) -> &SqlValue {
    row.get(at).unwrap_or(&SqlValue::Null)
}

/// Returns the parameters of a new account.
pub(super) fn params(account: Account) -> [SqlValue; 6] {
    [
        SqlValue::Text(account.name),
        SqlValue::Int(account.balance),
        SqlValue::Uuid(account.ref_id),
        SqlValue::Real(account.interest_rate),
        SqlValue::Text(account.risk_score),
        SqlValue::Time(account.created_at),
    ]
}

/// Reads an account: id, name, balance, reference, rate, risk, time.
pub(super) fn account(identity: Identity, row: &Row) -> Seen {
    let name = value(row, 1).text().unwrap_or_default().to_owned();
    let key = identity.read(&name);
    let mut wrong = Vec::new();
    let mut whole = |at: usize, what: &str| {
        value(row, at).int().unwrap_or_else(|| {
            wrong.push(format!("{what} is {}, no whole number", shown(value(row, at))));
            0
        })
    };
    let (id, balance) = (whole(0, "id"), whole(2, "balance"));
    if let Some(key) = key {
        let Values { ref_id, interest_rate, risk_score, created_at } = identity.values(key);
        let mut same = |at: usize, what: &str, same: bool, written: &dyn Display| {
            if !same {
                wrong.push(format!("{what} is {}, not {written}", shown(value(row, at))));
            }
        };
        same(3, "ref_id", value(row, 3).uuid() == Some(ref_id), &ref_id);
        same(4, "interest_rate", value(row, 4).real() == Some(interest_rate), &interest_rate);
        same(5, "risk_score", value(row, 5).text() == Some(&risk_score), &risk_score);
        same(6, "created_at", value(row, 6).time() == Some(created_at), &created_at);
    }
    Seen { id, name, balance, key, wrong }
}

/// Reads who an account is and what it holds; `None` of one that nobody of this run made.
pub(super) fn brief(identity: Identity, row: &Row) -> Option<Seen> {
    let name = value(row, 1).text()?;
    let key = identity.read(name)?;
    let (id, balance) = (value(row, 0).int()?, value(row, 2).int()?);
    Some(Seen { id, name: name.to_owned(), balance, key: Some(key), wrong: Vec::new() })
}

/// Reads a transfer: id, sender, receiver, amount, reference, time.
pub(super) fn transfer(identity: Identity, row: &Row) -> SeenTransfer {
    let int = |at: usize| value(row, at).int().unwrap_or(-1);
    let content = Content { from: int(1), to: int(2), amount: int(3) };
    let reference = value(row, 4).uuid().unwrap_or_default();
    let seal = match identity.examine(reference, content) {
        Reference::Intact(key) if value(row, 5).time() == Some(identity.transfer_time(key)) => Seal::Intact(key.pack()),
        Reference::Intact(key) | Reference::Altered(key) => Seal::Altered(key.pack()),
        Reference::Foreign => Seal::Foreign,
    };
    SeenTransfer { id: int(0), content, reference, seal }
}

/// Returns the key that a joined name carries; `None` where no account was joined.
pub(super) fn joined(identity: Identity, row: &Row, at: usize) -> Option<(String, Option<Key>)> {
    value(row, at).text().map(|name| (name.to_owned(), identity.read(name)))
}

/// Returns a value for people, cut.
pub(super) fn shown(value: &SqlValue) -> String {
    let text = match value {
        SqlValue::Null => "NULL".into(),
        SqlValue::Bool(truth) => truth.to_string(),
        SqlValue::Int(n) => n.to_string(),
        SqlValue::Real(x) => x.to_string(),
        SqlValue::Text(text) => format!("'{text}'"),
        SqlValue::Uuid(uuid) => uuid.to_string(),
        SqlValue::Time(time) => time.to_rfc3339(),
    };
    text.chars().take(60).collect()
}

/// Returns the first value of the first row.
pub(super) fn single(rows: &[Row]) -> Option<&SqlValue> {
    rows.first().and_then(|row| row.first())
}
