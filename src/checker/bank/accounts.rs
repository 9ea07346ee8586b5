//! Looks at every account: who made it, what must stand in it, and what it must hold.

use std::collections::BTreeMap;

use super::Lines;

/// An account as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRow<'a> {
    pub id: i64,
    /// Empty where something else than a text stands there.
    pub name: &'a str,
    pub balance: i64,
    /// Who made it; `None` if nobody of this run gave the name.
    pub author: Option<Author>,
    /// Values that are not as they were written, as `interest_rate is 3.5, not 4.5`.
    pub wrong: Vec<String>,
}

/// What the ledger says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// Packed key of the row.
    pub key: u64,
    pub expected: Expected,
}

/// What an account must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub initial: i64,
    /// Received less sent.
    pub net: i64,
    /// Operations about it have ended with nobody knowing how.
    pub doubtful: bool,
}

/// What going through all accounts came to.
#[derive(Debug, Clone)]
pub struct AccountsAudit {
    /// Says who wrote something.
    pub(super) told: fn(u64) -> String,
    pub(super) rows: u64,
    pub(super) sum: i128,
    pub(super) strangers: Lines,
    pub(super) altered: Lines,
    pub(super) negative: Lines,
    pub(super) unbalanced: Lines,
    pub(super) doubtful: u64,
}

impl AccountsAudit {
    /// Returns one that has seen nothing.
    pub fn new(told: fn(u64) -> String) -> Self {
        Self {
            told,
            rows: 0,
            sum: 0,
            strangers: Lines::default(),
            altered: Lines::default(),
            negative: Lines::default(),
            unbalanced: Lines::default(),
            doubtful: 0,
        }
    }

    /// Returns how many it has seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Looks at one account.
    pub fn row(&mut self, row: &AccountRow<'_>) {
        let AccountRow { id, name, balance, author, wrong } = row;
        self.rows += 1;
        self.sum += i128::from(*balance);
        let by = || author.map_or_else(|| "nobody".into(), |author| (self.told)(author.key));
        let account = || if name.is_empty() { format!("account {id}") } else { format!("account {id} {name}") };
        if *balance < 0 {
            self.negative.add(|| format!("{} of {}: balance {balance} is below zero", account(), by()));
        }
        for what in wrong {
            self.altered.add(|| format!("{} of {}: {what}", account(), by()));
        }
        let Some(Author { expected: Expected { initial, net, doubtful }, .. }) = *author else {
            self.strangers.add(|| format!("account {id} {} with balance {balance}", shown(name)));
            return;
        };
        match initial + net - balance {
            0 => {}
            _ if doubtful => self.doubtful += 1,
            less => self.unbalanced.add(|| {
                let off = if less > 0 { format!("{less} too little") } else { format!("{} too much", -less) };
                format!(
                    "account {id} {name} of {}: balance {balance} is {off}; it began with {initial} and received {net} \
                     more than it sent",
                    by(),
                )
            }),
        }
    }
}

/// Returns a name that somebody else may have given, cut.
fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(60).collect::<String>())
}

/// One account that is there and must not be, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Packed key of the operation that wrote it.
    pub operation: u64,
    /// Which of its rows, counted from 0, and of how many.
    pub index: u32,
    pub of: u32,
    pub name: String,
    /// Its id where it is there.
    pub id: Option<i64>,
    /// Operations about it have ended with nobody knowing how.
    pub doubtful: bool,
}

/// Where the accounts of the ledger and those of the table differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Accounts that were acknowledged and never deleted, and are not there.
    pub missing: Vec<Side>,
    /// Accounts that are there although they are deleted or were never acknowledged.
    pub extra: Vec<Side>,
    /// False if there are more than can be named.
    pub complete: bool,
    /// Accounts that must be there, by count.
    pub expected: i64,
}

impl Difference {
    /// Returns what must not be, and how many are doubtful.
    pub(super) fn lines(&self, told: fn(u64) -> String) -> (Lines, u64) {
        let mut lines = Lines::default();
        let mut doubtful = 0;
        for (side, what) in self
            .missing
            .iter()
            .map(|side| (side, "is lost"))
            .chain(self.extra.iter().map(|side| (side, "is there, but was deleted or never acknowledged")))
        {
            if side.doubtful {
                doubtful += 1;
                continue;
            }
            lines.add(|| {
                let id = side.id.map(|id| format!("{id} ")).unwrap_or_default();
                format!("account {id}{} of {}, row {} {what}", side.name, told(side.operation), side.index + 1)
            });
        }
        (lines, doubtful)
    }

    /// Returns the batches that are there in part.
    pub(super) fn batches(&self, told: fn(u64) -> String) -> Lines {
        let mut lines = Lines::default();
        let group = |sides: &[Side]| {
            let mut groups: BTreeMap<u64, Vec<Side>> = BTreeMap::new();
            for side in sides.iter().filter(|side| !side.doubtful) {
                groups.entry(side.operation).or_default().push(side.clone());
            }
            groups
        };
        for (operation, rows) in group(&self.missing) {
            lines.add(|| batch(told, operation, &rows, "missing"));
        }
        for (operation, rows) in group(&self.extra) {
            // One alone is rather an account that came back, and all of them are a whole batch.
            if rows.len() > 1 && rows.len() < rows[0].of as usize {
                lines.add(|| batch(told, operation, &rows, "there, but deleted or never acknowledged"));
            }
        }
        lines
    }
}

fn batch(told: fn(u64) -> String, operation: u64, rows: &[Side], what: &str) -> String {
    const NAMED: usize = 10;
    let mut names: Vec<&str> = rows.iter().take(NAMED).map(|row| row.name.as_str()).collect();
    if rows.len() > NAMED {
        names.push("…");
    }
    let verb = if rows.len() == 1 { "is" } else { "are" };
    let (told, of) = (told(operation), rows[0].of);
    format!("batch of {told}: {} of {of} rows {verb} {what}: {}", rows.len(), names.join(", "))
}
