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
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeenTransfer {
    pub(super) id: i64,
    pub(super) content: Content,
    pub(super) reference: Uuid,
    pub(super) seal: Seal,
    /// Values that are of another type than what is written there.
    pub(super) wrong: Vec<String>,
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
    if value(row, 1).text().is_none() {
        wrong.push(format!("name is {}, no text", value(row, 1).shown()));
    }
    let mut whole = |at: usize, what: &str| {
        value(row, at).int().unwrap_or_else(|| {
            wrong.push(format!("{what} is {}, no whole number", value(row, at).shown()));
            0
        })
    };
    let (id, balance) = (whole(0, "id"), whole(2, "balance"));
    if let Some(key) = key {
        let Values { ref_id, interest_rate, risk_score, created_at } = identity.values(key);
        let mut same = |at: usize, what: &str, same: bool, written: &dyn Display| {
            if !same {
                wrong.push(format!("{what} is {}, not {written}", value(row, at).shown()));
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
    let mut wrong = Vec::new();
    let mut odd =
        |at: usize, what: &str, noun: &str| wrong.push(format!("{what} is {}, no {noun}", value(row, at).shown()));
    let mut int = |at: usize, what: &str| {
        value(row, at).int().unwrap_or_else(|| {
            odd(at, what, "whole number");
            -1
        })
    };
    let id = int(0, "id");
    let content = Content { from: int(1, "from_account"), to: int(2, "to_account"), amount: int(3, "amount") };
    let reference = value(row, 4).uuid().unwrap_or_else(|| {
        odd(4, "ref_id", "UUID");
        Uuid::nil()
    });
    let time = value(row, 5).time();
    if time.is_none() {
        odd(5, "created_at", "moment");
    }
    let seal = match identity.examine(reference, content) {
        Reference::Intact(key) if time == Some(identity.transfer_time(key)) => Seal::Intact(key.pack()),
        Reference::Intact(key) | Reference::Altered(key) => Seal::Altered(key.pack()),
        Reference::Foreign => Seal::Foreign,
    };
    SeenTransfer { id, content, reference, seal, wrong }
}

/// Returns the key that a joined name carries; `None` where no account was joined.
pub(super) fn joined(identity: Identity, row: &Row, at: usize) -> Option<(String, Option<Key>)> {
    match value(row, at) {
        SqlValue::Null => None,
        SqlValue::Text(name) => Some((name.clone(), identity.read(name))),
        odd => Some((odd.shown(), None)),
    }
}

/// Returns the first value of the first row.
pub(super) fn single(rows: &[Row]) -> Option<&SqlValue> {
    rows.first().and_then(|row| row.first())
}
