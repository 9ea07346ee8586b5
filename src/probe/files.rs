//! The files of SQLite databases: the database itself, its write-ahead log with the log's index, and its journal.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of one database's files, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    pub database: u64,
    pub wal: u64,
    pub journal: u64,
}

/// Measures a database; one that is not there is an error.
pub fn database(path: &Path) -> io::Result<Sizes> {
    let database = std::fs::metadata(path)?.len();
    let beside = |suffix: &str| {
        let mut name = OsString::from(path);
        name.push(suffix);
        match std::fs::metadata(name) {
            Ok(meta) => Ok(meta.len()),
            // Without a log there is none, and that is known.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    };
    Ok(Sizes { database, wal: beside("-wal")? + beside("-shm")?, journal: beside("-journal")? })
}

/// Adds up those databases that are there; an error if there is none, or if one cannot be looked at.
pub fn databases(paths: &[PathBuf]) -> io::Result<Sizes> {
    let mut sum: Option<Sizes> = None;
    for path in paths {
        match database(path) {
            Ok(sizes) => {
                let sum = sum.get_or_insert_default();
                sum.database += sizes.database;
                sum.wal += sizes.wal;
                sum.journal += sizes.journal;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }
    let first = paths.first().map_or_else(String::new, |path| format!(": {}", path.display()));
    sum.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no such file{first}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_and_its_log_are_measured_as_they_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        assert_eq!(database(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x);").unwrap();
        let before = database(&path).unwrap();
        conn.execute_batch("INSERT INTO t VALUES (randomblob(1000000));").unwrap();
        let after = database(&path).unwrap();
        assert!(after.wal > before.wal + 1_000_000 && after.database == before.database, "{before:?} {after:?}");
        conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
        let emptied = database(&path).unwrap();
        assert!(emptied.database > 1_000_000 && emptied.wal < before.wal + 100_000, "{emptied:?}");
        assert_eq!(emptied.journal, 0);
    }

    #[test]
    fn databases_are_added_up_and_none_at_all_is_not_zero() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let all = [path("a"), path("b"), path("c")];
        assert!(databases(&all).unwrap_err().to_string().contains("no such file"));
        std::fs::write(path("a"), [0; 10]).unwrap();
        std::fs::write(path("c"), [0; 20]).unwrap();
        std::fs::write(path("c-wal"), [0; 5]).unwrap();
        std::fs::write(path("c-journal"), [0; 7]).unwrap();
        assert_eq!(databases(&all).unwrap(), Sizes { database: 30, wal: 5, journal: 7 });
        assert!(databases(&[]).is_err());
    }
}
