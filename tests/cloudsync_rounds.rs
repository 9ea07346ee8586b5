//! Opening, using and closing the real extension leaves nothing behind. A process of its own, because it counts descriptors.

#![allow(clippy::unwrap_used)]

#[path = "support/extension.rs"]
mod extension;
#[path = "support/stub.rs"]
mod stub;

use std::collections::BTreeMap;

use soakd::model::schema::TableSpec;
use soakd::target::sync_sql::{Provider, SessionSpec, SyncSession};
use stub::{Failure, Stub};

const WARM_UP: usize = 50;
const ROUNDS: usize = 200;
/// Cleaning up with only one of the two calls costs 20 MB and more in as many rounds.
const GROWTH_BYTES_MAX: u64 = 6 << 20;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn two_hundred_rounds_leave_descriptors_and_memory_flat() {
    let stub = Stub::start(Failure::Answer(500, "Internal Server Error"));
    let dir = tempfile::tempdir().unwrap();
    let spec = SessionSpec {
        path: dir.path().join("a.db"),
        table: TableSpec::seed(),
        provider: Provider::Extension {
            path: extension::cloudsync(),
            entry_point: "sqlite3_cloudsync_init".into(),
            statements: BTreeMap::new(),
        },
        address: stub.url(),
        database_id: "soak".into(),
        connect_ms: 1000,
        request_ms: 5000,
        busy_ms: 1000,
    };
    let round = |i: usize| {
        let session = SyncSession::open(&spec).unwrap();
        let write = "INSERT OR REPLACE INTO test_sync VALUES ('db1_r1_1', 'u', 'n', ?1)";
        session.conn().execute(write, [i as i64]).unwrap();
        let mut session = session;
        assert!(session.send().is_err());
        // Every second session is dropped on an error's way out instead of closed.
        if i.is_multiple_of(2) { session.close().unwrap() } else { drop(session) }
    };
    (0..WARM_UP).for_each(round);
    assert!(stub.all_closed(), "a session left its connection open");
    let (fds, bytes) = (descriptors(), resident_bytes());
    (0..ROUNDS).for_each(round);
    assert!(stub.all_closed(), "a session left its connection open");
    assert_eq!(descriptors(), fds);
    let grown = resident_bytes().saturating_sub(bytes);
    assert!(grown <= GROWTH_BYTES_MAX, "{ROUNDS} rounds grew memory by {grown} bytes");
    assert!(stub.requests() >= WARM_UP + ROUNDS);
}
