//! Small values of the daemon's own that belong to no run.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::tables::{self, DAEMON, checked};
use super::{Store, StoreError};

impl Store {
    /// Keeps a value under a name, or forgets it.
    pub fn put_value<T: Serialize>(&mut self, name: &str, value: Option<T>) -> Result<(), StoreError> {
        let at = checked(name)?.as_bytes();
        self.write(|txn| {
            let mut table = txn.open_table(DAEMON)?;
            match &value {
                Some(value) => tables::put(&mut table, DAEMON, at, value),
                None => {
                    table.remove(at)?;
                    Ok(())
                }
            }
        })
    }

    /// Returns a value kept by [`Store::put_value`].
    pub fn value<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.read(|txn| tables::get(&txn.open_table(DAEMON)?, DAEMON, name.as_bytes()))
    }
}
