//! Says what can be said of the server where its rows were not all fetched, and which of its rows can be compared at all.

use std::collections::BTreeSet;

use super::states::all_keys;
use super::{Court, Fault, Replica, SERVER, Server};
use crate::model::digest::bucket_of;
use crate::model::ids::RowKey;

impl Court<'_> {
    /// Returns the keys by which the server and a replica can be compared: what was not fetched is not missing.
    pub(super) fn keys_of_both(&self, reference: &Replica) -> BTreeSet<RowKey> {
        let mut keys: BTreeSet<RowKey> = self.server.keys().copied().collect();
        if let Server::Read { digest, truncated: false, .. } = &self.group.server {
            let buckets = digest.differing_buckets(&reference.digest);
            let here = |key: &RowKey| buckets.binary_search(&bucket_of(&key.to_string())).is_ok();
            keys.extend(all_keys(&reference.states).filter(here));
        }
        keys
    }

    /// Blames the server by its row count where it differs and too many rows differ to find out which are wrong.
    pub(super) fn server_beyond_reach(&mut self) {
        let Server::Read { digest, truncated: true, .. } = &self.group.server else { return };
        let Some(reference) = self.reference() else { return };
        if self.total > 0 || *digest == reference.digest {
            return;
        }
        let (there, here) = (digest.rows, reference.digest.rows);
        let fault = match there.cmp(&here) {
            std::cmp::Ordering::Less => Fault::Lost,
            std::cmp::Ordering::Greater => Fault::Phantom,
            std::cmp::Ordering::Equal => Fault::Diverged,
        };
        let detail = format!(
            "it holds {there} rows, {} holds {here}; too many differ to be fetched, so no row can be named",
            reference.name
        );
        let rows = u32::try_from(there.abs_diff(here)).unwrap_or(u32::MAX).max(1);
        self.add(fault, SERVER, "rows".to_owned(), 1, detail);
        self.total += u64::from(rows - 1);
    }
}
