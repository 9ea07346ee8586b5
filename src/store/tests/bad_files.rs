//! Everything that can be wrong with the file or its directory has its own words, and a bad file is never changed.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use super::super::open::prepare;
use super::super::tables::{self, FORMAT_KEY, META};
use super::*;

fn set_format(store: &mut Store, format: u32) {
    store.write(|txn| tables::put(&mut txn.open_table(META)?, META, FORMAT_KEY, &format)).unwrap();
}

#[test]
fn a_newer_format_is_refused_by_number() {
    let dir = tempfile::tempdir().unwrap();
    set_format(&mut Store::open(dir.path()).unwrap(), 9);
    for error in [Store::open(dir.path()).unwrap_err(), Store::open_read(dir.path()).unwrap_err()] {
        assert!(matches!(error, StoreError::Newer { found: 9, .. }), "{error}");
        assert!(error.to_string().contains("soakd.redb has format 9, and this soakd knows formats up to 3"), "{error}");
    }
}

#[test]
fn an_older_format_is_migrated_one_number_at_a_time() {
    thread_local!(static DONE: Cell<u32> = const { Cell::new(0) });
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    set_format(&mut store, 2);
    let Handle::Write(db) = &store.handle else { panic!("open for writing") };
    let never = |_: &WriteTransaction| panic!("format 1 is behind us");
    let second = |_: &WriteTransaction| {
        DONE.set(DONE.get() * 10 + 2);
        Ok(())
    };
    let third = |_: &WriteTransaction| {
        DONE.set(DONE.get() * 10 + 3);
        Ok(())
    };
    for _ in 0..2 {
        prepare(db, &[never, second, third]).unwrap();
        assert_eq!(DONE.get(), 23);
    }
    let found = store.read(|txn| tables::get::<u32>(&txn.open_table(META)?, META, FORMAT_KEY)).unwrap();
    assert_eq!(found, Some(4));
}

#[test]
fn a_damaged_file_is_named_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    drop(Store::open(dir.path()).unwrap());
    let good = fs::read(&file).unwrap();
    let mut bad_header = good.clone();
    bad_header[0..32].fill(0x55);
    let mut bad_roots = good.clone();
    bad_roots[64..320].fill(0xAA);
    let mut bad_pages = good.clone();
    bad_pages[4096..].fill(0xA5);
    for (what, bytes) in [
        ("text", b"this is not a state file\n".repeat(400)),
        ("short", b"short".to_vec()),
        ("header", bad_header),
        ("roots", bad_roots),
        ("pages", bad_pages),
        ("cut", good[..good.len() / 3].to_vec()),
    ] {
        fs::write(&file, &bytes).unwrap();
        for error in [Store::open(dir.path()).unwrap_err(), Store::open_read(dir.path()).unwrap_err()] {
            assert!(matches!(error, StoreError::Corrupt { .. }), "{what}: {error:?}");
            assert!(error.to_string().contains("soakd.redb is damaged"), "{what}: {error}");
        }
        assert!(fs::read(&file).unwrap() == bytes, "{what}: the file was changed");
    }
}

#[test]
fn a_file_in_use_is_refused_and_free_again_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let holder = Store::open(dir.path()).unwrap();
    for error in [Store::open(dir.path()).unwrap_err(), Store::open_read(dir.path()).unwrap_err()] {
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("a soakd run holds it"), "{error}");
    }
    drop(holder);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, b"").unwrap();
    for path in [plain.clone(), plain.join("below")] {
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
        assert!(error.to_string().starts_with("cannot use the state directory"), "{error}");
    }
    let error = Store::open(&PathBuf::from("/proc/soakd-state")).unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
}

#[test]
fn a_reader_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    assert!(matches!(Store::open_read(&missing), Err(StoreError::NotFound { .. })));
    assert!(!missing.exists());
    fs::write(dir.path().join(FILE), b"").unwrap();
    assert!(matches!(Store::open_read(dir.path()), Err(StoreError::NotFound { .. })));
}

#[test]
fn what_a_killed_run_left_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let left = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    store.record_steps(RUN, &[a_step(1, 1, 1)]).unwrap();
    // The file as it is while the run is alive is what `kill -9` leaves.
    fs::copy(dir.path().join(FILE), left.path().join(FILE)).unwrap();
    for _ in 0..2 {
        let reader = Store::open_read(left.path()).unwrap();
        assert_eq!(reader.snapshot(RUN).unwrap().unwrap().totals.steps, 1);
    }
    let mut next = Store::open(left.path()).unwrap();
    assert_eq!(next.record_steps(RUN, &[a_step(1, 1, 1), a_step(1, 1, 2)]).unwrap(), 1);
}
