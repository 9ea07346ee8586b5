//! Losing power at any moment: what was acknowledged is there afterwards, and nothing is counted twice.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use redb::StorageBackend;

use super::*;

/// One write that was not synced yet.
#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What survives a power cut for certain.
    safe: Vec<u8>,
    /// What the file looks like to who reads it now.
    seen: Vec<u8>,
    unsynced: Vec<Change>,
    /// Calls that change something until the power goes; `None` for never.
    pub(super) calls_left: Option<u32>,
    /// Bytes that fit on the disk.
    room: Option<u64>,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(len) => bytes.resize(*len as usize, 0),
        Change::Write(at, data) => {
            let (from, until) = (*at as usize, *at as usize + data.len());
            if bytes.len() < until {
                bytes.resize(until, 0);
            }
            bytes[from..until].copy_from_slice(data);
        }
    }
}

impl Disk {
    fn tick(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.tick()?;
        let end = match &change {
            Change::Length(len) => *len,
            Change::Write(at, data) => at + data.len() as u64,
        };
        if self.room.is_some_and(|room| end > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
        Ok(())
    }

    /// Cuts the power: of the writes since the last sync any part may have arrived.
    pub(super) fn cut(&mut self, arrived: u64) {
        let mut bits = arrived;
        for change in std::mem::take(&mut self.unsynced) {
            bits = bits.rotate_left(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ arrived;
            if bits & 1 == 1 {
                apply(&mut self.safe, &change);
            }
        }
        self.seen = self.safe.clone();
        self.calls_left = None;
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Backend(pub(super) Arc<Mutex<Disk>>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let from = offset as usize;
        let bytes = disk.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.tick()?;
        disk.unsynced.clear();
        disk.safe = disk.seen.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::Write(offset, data.to_vec()))
    }
}

/// Counts steps until the power goes, and returns those that were acknowledged.
fn work(backend: &Backend, acknowledged: &mut BTreeSet<(u64, u32, u32)>, from: u32) -> Result<(), StoreError> {
    let mut store = Store::with_backend(backend.clone())?;
    for no in from..from + 12 {
        let reports = [a_step(1, 1, no), a_step(1, 2, no), a_step(1, 1, no)];
        store.record_steps(RUN, &reports)?;
        acknowledged.extend([(1, 1, no), (1, 2, no)]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_power_cut_loses_nothing_acknowledged_and_doubles_nothing(
        cuts in prop::collection::vec((0u32..220, any::<u64>()), 1..5),
    ) {
        let backend = Backend::default();
        let mut store = Store::with_backend(backend.clone()).unwrap();
        store.begin_run(&a_run(RUN, 1)).unwrap();
        drop(store);
        let mut acknowledged = BTreeSet::new();
        for (calls, arrived) in cuts {
            backend.0.lock().unwrap().calls_left = Some(calls);
            let from = acknowledged.len() as u32 / 2 + 1;
            let _ = work(&backend, &mut acknowledged, from);
            backend.0.lock().unwrap().cut(arrived);
            let mut store = Store::with_backend(backend.clone()).unwrap();
            let done: BTreeSet<_> = store.steps_done(RUN, 1).unwrap().into_iter()
                .flat_map(|(db, steps)| steps.into_iter().map(move |no| (1, db, no))).collect();
            prop_assert!(done.is_superset(&acknowledged), "lost {:?}", acknowledged.difference(&done));
            // What the worker knows better than the state file is reported again, all of it.
            let again: Vec<_> = done.iter().map(|(cycle, db, no)| a_step(*cycle, *db, *no)).collect();
            prop_assert_eq!(store.record_steps(RUN, &again).unwrap(), 0);
            let mut expected = Counters::default();
            for report in &again {
                expected.count(report);
                expected.errors += report.findings.len() as u64;
            }
            prop_assert_eq!(store.snapshot(RUN).unwrap().unwrap().totals, expected);
            acknowledged = done;
        }
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_what_was_acknowledged() {
    let backend = Backend::default();
    let mut store = Store::with_backend(backend.clone()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    store.record_steps(RUN, &[a_step(1, 1, 1)]).unwrap();
    let room = backend.0.lock().unwrap().seen.len() as u64;
    backend.0.lock().unwrap().room = Some(room);
    let error = (0..64).find_map(|n| store.put_blob(RUN, &format!("b{n}"), &[n; 300_000]).err()).unwrap();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert!(error.is_fatal() && error.to_string().starts_with("no space left for the state file"), "{error}");
    drop(store);
    backend.0.lock().unwrap().room = None;
    let store = Store::with_backend(backend).unwrap();
    assert_eq!(store.snapshot(RUN).unwrap().unwrap().totals.steps, 1);
}
