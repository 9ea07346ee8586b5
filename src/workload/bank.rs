//! The bank: what its five roles are given. Names and values of rows follow from the seed, so that whoever reads a row knows
//! who wrote it and what must stand in it.

pub mod account;
pub mod identity;
pub mod key;
pub mod sql;

use serde::{Deserialize, Serialize};

pub use account::{Account, Values, complex};
pub use identity::{Content, Identity, Reference};
pub use key::Key;

/// The settings of the bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankSpec {
    pub seconds: u32,
    /// Workers of each role.
    pub workers: BankWorkers,
    /// Operations per second of each role, all its workers together; 0 for as fast as they can.
    pub rates: BankRates,
    /// Accounts that every cycle begins with.
    pub accounts: u32,
    /// Accounts of one insert.
    pub batch: u32,
    pub foreign_keys: bool,
}

/// Workers by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankWorkers {
    pub inserter: u32,
    pub transferrer: u32,
    pub reader: u32,
    pub checker: u32,
    pub deleter: u32,
}

/// Operations per second by role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BankRates {
    pub inserter: f64,
    pub transferrer: f64,
    pub reader: f64,
    pub checker: f64,
    pub deleter: f64,
}

impl Default for BankSpec {
    fn default() -> Self {
        Self {
            seconds: 10,
            workers: BankWorkers::each(3),
            rates: BankRates::default(),
            accounts: 100,
            batch: 20,
            foreign_keys: true,
        }
    }
}

impl BankWorkers {
    /// Returns the same number for every role.
    pub fn each(n: u32) -> Self {
        Self { inserter: n, transferrer: n, reader: n, checker: n, deleter: n }
    }

    /// Returns the sum.
    pub fn total(self) -> u32 {
        self.inserter + self.transferrer + self.reader + self.checker + self.deleter
    }
}
