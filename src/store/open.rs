//! Opening the state file: locks, formats, compaction, and an answer for everything that can be wrong with it.

use std::cell::Cell;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread;
use std::time::Duration;

use redb::{Builder, Database, DatabaseError, Durability, ReadableDatabase, WriteTransaction};

use super::tables::{self, ALL, FORMAT_KEY, META};
use super::{FILE, Handle, Store, StoreError, durable};
use crate::clock::Clock;
use crate::model::message::Policy;
use crate::model::record::FORMAT;

/// redb would take up to a gibibyte by default.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// A report that is just being made holds the lock for a moment; a run holds it for good.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Files smaller than this are not worth compacting.
const COMPACT_FILE_MIN: u64 = 16 * 1024 * 1024;
/// Compaction moves the live data; more than this would delay the start.
const COMPACT_LIVE_MAX: u64 = 64 * 1024 * 1024;

/// Rewrites the records of one format as the next one.
pub(super) type Migration = fn(&WriteTransaction) -> Result<(), StoreError>;
/// One migration for every format before [`FORMAT`]; the length is checked when this is compiled.
const MIGRATIONS: [Migration; (FORMAT - 1) as usize] = [new_tables_only, new_tables_only];

/// Formats 2 and 3 added tables, which are made whenever a file is brought up, and fields that may be absent.
fn new_tables_only(_: &WriteTransaction) -> Result<(), StoreError> {
    Ok(())
}

impl Store {
    /// Opens the state file of a directory for a run, making both if need be.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Directory { dir: state_dir.to_owned(), source };
        fs::create_dir_all(state_dir).map_err(unusable)?;
        let file = state_dir.join(FILE);
        let size = fs::metadata(&file).map_or(0, |meta| meta.len());
        if size > 0 {
            refuse_newer(&file)?;
        }
        let mut db = guarded(|| retry_locked(|| builder().create(&file))).map_err(|e| match e {
            StoreError::Storage { source, .. } => match *source {
                redb::Error::Io(e) => unusable(e),
                other => StoreError::Storage { file: file.clone(), source: Box::new(other) },
            },
            other => other.at(&file),
        })?;
        guarded(|| prepare(&db, &MIGRATIONS)).map_err(|e| with_path(e, &file))?;
        if size >= COMPACT_FILE_MIN {
            guarded(|| compact(&mut db, size)).map_err(|e| e.at(&file))?;
        }
        Ok(Self::new(file, Handle::Write(db)))
    }

    /// Opens the state file of a directory for a report; never creates one.
    pub fn open_read(state_dir: &Path) -> Result<Self, StoreError> {
        let file = state_dir.join(FILE);
        let size = match fs::metadata(&file) {
            Ok(meta) => meta.len(),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(StoreError::NotFound { file });
            }
            Err(source) => return Err(StoreError::Directory { dir: state_dir.to_owned(), source }),
        };
        if size == 0 {
            return Err(StoreError::NotFound { file });
        }
        let handle = guarded(|| match builder().open_read_only(&file) {
            Ok(db) => Ok(Handle::Read(db)),
            // A daemon that was killed leaves a file that must be opened for writing once.
            Err(DatabaseError::RepairAborted) => Ok(Handle::Write(builder().open(&file)?)),
            Err(e) => Err(e.into()),
        })
        .map_err(|e| e.at(&file))?;
        let store = Self::new(file, handle);
        let found = store.read(|txn| match txn.open_table(META) {
            Ok(meta) => tables::get::<u32>(&meta, META, FORMAT_KEY),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(e.into()),
        })?;
        match found {
            None => Err(StoreError::NotFound { file: store.file }),
            Some(found) if found > FORMAT => Err(StoreError::Newer { file: store.file, found, known: FORMAT }),
            Some(_) => Ok(store),
        }
    }

    fn new(file: PathBuf, handle: Handle) -> Self {
        Self {
            file,
            handle,
            durability: Durability::Immediate,
            commit_micros: 0,
            clock: Clock::default(),
            policy: Policy::default(),
            kept: None,
            channels_changed: false,
            changes: Vec::new(),
        }
    }

    /// Opens a store on a storage of the test's own.
    #[cfg(test)]
    pub(super) fn with_backend(backend: impl redb::StorageBackend) -> Result<Self, StoreError> {
        let db = builder().create_with_backend(backend)?;
        prepare(&db, &MIGRATIONS)?;
        let file = FILE.into();
        Ok(Self::new(file, Handle::Write(db)))
    }
}

/// Refuses a file of a newer soakd before anything is written into it; whatever else is wrong shows when it is opened.
fn refuse_newer(file: &Path) -> Result<(), StoreError> {
    let found = guarded(|| {
        let txn = builder().open_read_only(file)?.begin_read()?;
        tables::get::<u32>(&txn.open_table(META)?, META, FORMAT_KEY)
    });
    match found {
        Ok(Some(found)) if found > FORMAT => Err(StoreError::Newer { file: file.to_owned(), found, known: FORMAT }),
        _ => Ok(()),
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Fills in the path where the error was made without one.
fn with_path(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Newer { found, known, .. } => StoreError::Newer { file: path.to_owned(), found, known },
        other => other.at(path),
    }
}

thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });

/// Turns a panic over damaged bytes into an error: a bad file must never end the process, nor print a trace instead of words.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    done.unwrap_or_else(|_| {
        let detail = "its pages contradict each other".to_owned();
        Err(StoreError::Corrupt { file: Default::default(), detail })
    })
}

fn retry_locked(mut open: impl FnMut() -> Result<Database, DatabaseError>) -> Result<Database, StoreError> {
    for _ in 1..LOCK_TRIES {
        match open() {
            Err(DatabaseError::DatabaseAlreadyOpen) => thread::sleep(LOCK_PAUSE),
            other => return Ok(other?),
        }
    }
    Ok(open()?)
}

/// Reads the format number and brings the tables up to it; a fresh file gets its tables and number.
pub(super) fn prepare(db: &Database, migrations: &[Migration]) -> Result<(), StoreError> {
    let known = migrations.len() as u32 + 1;
    let found = {
        let txn = db.begin_read()?;
        match txn.open_table(META) {
            Ok(meta) => tables::get::<u32>(&meta, META, FORMAT_KEY)?,
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(e) => return Err(e.into()),
        }
    };
    match found {
        Some(found) if found == known => return Ok(()),
        Some(found) if found > known => return Err(StoreError::Newer { file: Default::default(), found, known }),
        Some(0) => return Err(StoreError::Corrupt { file: Default::default(), detail: "format number 0".to_owned() }),
        _ => {}
    }
    durable(db, Durability::Immediate, |txn| {
        for table in ALL {
            txn.open_table(table)?;
        }
        for migrate in migrations.iter().skip(found.unwrap_or(known) as usize - 1) {
            migrate(txn)?;
        }
        tables::put(&mut txn.open_table(META)?, META, FORMAT_KEY, &known)
    })
}

/// Gives freed space back when most of a large file is free and little has to be moved.
fn compact(db: &mut Database, size: u64) -> Result<(), StoreError> {
    let txn = db.begin_write()?;
    let stats = txn.stats()?;
    let live = stats.stored_bytes() + stats.metadata_bytes();
    txn.abort()?;
    if live < size / 4 && live <= COMPACT_LIVE_MAX {
        db.compact()?;
    }
    Ok(())
}
