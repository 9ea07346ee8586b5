//! What can go wrong with the state file, in words that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the state file; see [`StoreError::is_fatal`] for what the daemon must do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state file {} is in use: a soakd run holds it; stop that run first, or give another --state-dir", .file.display())]
    Locked { file: PathBuf },
    #[error("cannot use the state directory {}: {source}; make it writable for this user, or give another --state-dir", .dir.display())]
    Directory { dir: PathBuf, source: io::Error },
    #[error("there is no state file {}; give the --state-dir of a soakd run", .file.display())]
    NotFound { file: PathBuf },
    #[error("no space left for the state file {}; free some space and start soakd again: what was acknowledged is kept", .file.display())]
    DiskFull { file: PathBuf },
    #[error("the state file {} has reached the limit on the size of files (ulimit -f, or LimitFSIZE= of the service); raise it and start soakd again: what was acknowledged is kept", .file.display())]
    SizeLimit { file: PathBuf },
    #[error("the state file {} is damaged ({detail}); it was left as it is: move it away to start afresh, and keep it to report the damage", .file.display())]
    Corrupt { file: PathBuf, detail: String },
    #[error("the state file {} has format {found}, and this soakd knows formats up to {known}; use the newer soakd that wrote it, or another --state-dir", .file.display())]
    Newer { file: PathBuf, found: u32, known: u32 },
    #[error("run {run} is not in the state file; `soakd runs` lists those that are")]
    UnknownRun { run: String },
    #[error("run {run} is already in the state file")]
    RunExists { run: String },
    #[error("run {run} has not ended; only a run that has ended is forgotten")]
    Unfinished { run: String },
    #[error("name {name:?} cannot be part of a key: it must be 1 to {max} bytes long and hold no control characters")]
    BadName { name: String, max: usize },
    #[error("value {name:?} has {bytes} bytes, and at most {max} are kept")]
    TooLarge { name: String, bytes: usize, max: usize },
    #[error("series {name:?} is one too many: {max} are kept; measure fewer things")]
    TooManySeries { name: String, max: usize },
    #[error("the state file {} is open for reading only", .file.display())]
    ReadOnly { file: PathBuf },
    #[error("a record of table {table} in the state file {} cannot be read: {source}", .file.display())]
    Record { file: PathBuf, table: String, source: serde_json::Error },
    #[error("the state file {} failed: {source}; the daemon must stop and open it again", .file.display())]
    Storage { file: PathBuf, source: Box<redb::Error> },
}

impl StoreError {
    /// Returns true if nothing more can be written with this handle: the daemon must end, and a new one goes on.
    pub fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::NotFound { .. }
                | Self::UnknownRun { .. }
                | Self::RunExists { .. }
                | Self::Unfinished { .. }
                | Self::BadName { .. }
                | Self::TooLarge { .. }
                | Self::TooManySeries { .. }
                | Self::ReadOnly { .. }
        )
    }

    /// Names the file that the error is about.
    pub(super) fn at(mut self, path: &Path) -> Self {
        match &mut self {
            Self::DiskFull { file }
            | Self::SizeLimit { file }
            | Self::Locked { file }
            | Self::Corrupt { file, .. }
            | Self::Record { file, .. }
            | Self::Storage { file, .. } => *file = path.to_owned(),
            _ => {}
        }
        self
    }

    /// Returns the error for a value that does not read or write as JSON.
    pub(super) fn record(table: &str, source: serde_json::Error) -> Self {
        Self::Record { file: PathBuf::new(), table: table.to_owned(), source }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        let file = PathBuf::new();
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::Locked { file },
            redb::Error::Corrupted(detail) => Self::Corrupt { file, detail },
            redb::Error::UpgradeRequired(version) => {
                Self::Corrupt { file, detail: format!("file layout {version} is not known") }
            }
            redb::Error::Io(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Self::DiskFull { file }
            }
            redb::Error::Io(e) if e.kind() == io::ErrorKind::FileTooLarge => Self::SizeLimit { file },
            redb::Error::Io(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                Self::Corrupt { file, detail: e.to_string() }
            }
            other => Self::Storage { file, source: Box::new(other) },
        }
    }
}

macro_rules! from_redb {
    ($($kind:ty),*) => {$(
        impl From<$kind> for StoreError {
            fn from(error: $kind) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::CompactionError
);
