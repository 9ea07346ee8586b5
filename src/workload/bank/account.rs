//! What stands in an account when it is made, and the time of a transfer: functions of seed and key.

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

use super::identity::{Identity, Use};
use super::key::Key;

/// 2024-01-01 in microseconds: a fixed beginning, so that the same seed writes the same rows on every day.
const BEGINNING_US: i64 = 1_704_067_200_000_000;
/// A year in microseconds.
const YEAR_US: u64 = 365 * 86_400_000_000;

/// The values of a new account.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub name: String,
    pub balance: i64,
    pub ref_id: Uuid,
    pub interest_rate: f64,
    /// A complex number as text, such as `(3.25-1.5j)`.
    pub risk_score: String,
    pub created_at: DateTime<Utc>,
}

/// What never changes in an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    pub ref_id: Uuid,
    pub interest_rate: f64,
    pub risk_score: String,
    pub created_at: DateTime<Utc>,
}

impl Identity {
    /// Returns the balance that an account begins with: 100 to 10,000.
    pub fn balance(self, key: Key) -> i64 {
        100 + (self.hash(Use::Value, &[key.pack(), 1]) % 9_901) as i64
    }

    /// Returns the account with a key as it is made.
    pub fn account(self, key: Key) -> Account {
        let Values { ref_id, interest_rate, risk_score, created_at } = self.values(key);
        let (name, balance) = (self.name(key), self.balance(key));
        Account { name, balance, ref_id, interest_rate, risk_score, created_at }
    }

    /// Returns what never changes in the account with a key.
    pub fn values(self, key: Key) -> Values {
        let packed = key.pack();
        let value = |no: u64| self.hash(Use::Value, &[packed, no]);
        let part = |word: u64| ((word % 2_001) as f64 - 1_000.0) / 100.0;
        let id = u128::from(value(2)) << 64 | u128::from(value(3));
        Values {
            ref_id: Builder::from_random_bytes(id.to_be_bytes()).into_uuid(),
            interest_rate: (5_000 + value(4) % 145_001) as f64 / 10_000.0,
            risk_score: complex_text(part(value(5)), part(value(6))),
            created_at: self.time(packed),
        }
    }

    /// Returns the time of the transfer with a key.
    pub fn transfer_time(self, key: Key) -> DateTime<Utc> {
        self.time(key.operation().pack())
    }

    fn time(self, packed: u64) -> DateTime<Utc> {
        let us = BEGINNING_US + (self.hash(Use::Time, &[packed]) % YEAR_US) as i64;
        DateTime::from_timestamp_micros(us).expect("the year is one that calendars have")
    }
}

/// Returns a complex number as text.
pub fn complex_text(real: f64, imaginary: f64) -> String {
    // Zero has no sign here.
    format!("({}{:+}j)", real + 0.0, imaginary + 0.0)
}

/// Reads a complex number; `None` for any other text.
pub fn complex(text: &str) -> Option<(f64, f64)> {
    let inner = text.strip_prefix('(')?.strip_suffix("j)")?;
    // Of the sign between the parts; a real part may have one of its own.
    let at = inner.rfind(['+', '-']).filter(|at| *at > 0)?;
    let plain = |part: &str| part.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'+' | b'-'));
    let (real, imaginary) = inner.split_at(at);
    (plain(real) && plain(imaginary)).then_some(())?;
    Some((real.parse().ok()?, imaginary.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::lane::Lane;

    #[test]
    fn texts_of_complex_numbers() {
        assert_eq!(complex_text(3.25, -1.5), "(3.25-1.5j)");
        assert_eq!(complex_text(-0.0, 0.0), "(0+0j)");
        assert_eq!((complex("(3.25-1.5j)"), complex("(-7+0j)")), (Some((3.25, -1.5)), Some((-7.0, 0.0))));
        for wrong in ["", "3.25", "(3.25)", "(3.25-1.5i)", "(nan+1j)", "(-7j)", "(inf+1j)", "(+j)"] {
            assert_eq!(complex(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn values_are_those_of_the_bank(seed: u64, worker in 0u32..500, no in 0u64..1 << 28, index in 0u32..256) {
            let key = Key::of(9, Lane::Inserter, worker, no).unwrap().row(index);
            let account = Identity::new(seed).account(key);
            prop_assert!((100..=10_000).contains(&account.balance));
            prop_assert!((0.5..=15.0).contains(&account.interest_rate));
            let text = format!("{}", account.interest_rate);
            prop_assert!(text.split('.').nth(1).is_none_or(|digits| digits.len() <= 4), "{}", text);
            let (real, imaginary) = complex(&account.risk_score).unwrap();
            prop_assert_eq!(complex_text(real, imaginary), account.risk_score.clone());
            prop_assert_eq!(account.created_at.timestamp_subsec_nanos() % 1_000, 0);
            prop_assert_eq!(account.ref_id.get_version_num(), 4);
            prop_assert_eq!(Identity::new(seed).account(key), account);
        }
    }
}
