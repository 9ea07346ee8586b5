//! The codes of plain SQL databases: SQLite's extended result codes and PostgreSQL's SQLSTATE, by what they mean and by name.

use super::by_code;
use crate::model::finding::{Kind, Side};

/// Returns what an extended result code of SQLite means.
pub fn sqlite(extended_code: i32) -> (Side, Kind) {
    match extended_code & 0xff {
        // SQLITE_PROTOCOL: others held the locks of the write-ahead log for too long.
        15 => (Side::Client, Kind::Locked),
        _ => by_code(extended_code).map_or((Side::Client, Kind::Other), |(side, kind, _)| (side, kind)),
    }
}

/// Returns what a SQLSTATE means.
pub fn sqlstate(code: &str) -> (Side, Kind) {
    let kind = match code {
        "40P01" => Kind::Deadlock,
        "40001" => Kind::Serialization,
        "55P03" => Kind::Locked,
        "57014" | "25P03" | "25P04" => Kind::Timeout,
        "53300" | "57P03" => Kind::Busy,
        "57P01" | "57P02" | "57P05" => Kind::Reset,
        "53100" => Kind::DiskFull,
        "42501" => Kind::Denied,
        "XX001" | "XX002" => Kind::Corrupt,
        "25006" | "57P04" => Kind::Config,
        _ => return by_class(code),
    };
    let side = match kind {
        Kind::Reset => Side::Network,
        Kind::Config => Side::Client,
        _ => Side::Server,
    };
    (side, kind)
}

/// Returns what the class of a SQLSTATE, its first two characters, means.
fn by_class(code: &str) -> (Side, Kind) {
    match code.get(..2).unwrap_or_default() {
        "08" => (Side::Network, Kind::Reset),
        "23" | "22" | "44" => (Side::Client, Kind::Constraint),
        "28" => (Side::Server, Kind::Auth),
        "3D" => (Side::Client, Kind::Config),
        "3F" | "42" => (Side::Client, Kind::Schema),
        // Transaction control in the wrong order is a mistake of the driver.
        "25" | "2D" | "3B" => (Side::Soakd, Kind::Other),
        "40" => (Side::Server, Kind::Serialization),
        "53" => (Side::Server, Kind::Busy),
        _ => (Side::Server, Kind::Other),
    }
}

/// Returns the name of an extended result code of SQLite; of an unknown one, its number.
pub fn sqlite_name(extended_code: i32) -> String {
    NAMES
        .iter()
        .find(|(code, _)| *code == extended_code)
        .map_or_else(|| extended_code.to_string(), |(_, name)| format!("SQLITE_{name}"))
}

const NAMES: &[(i32, &str)] = &[
    (1, "ERROR"),
    (257, "ERROR_MISSING_COLLSEQ"),
    (513, "ERROR_RETRY"),
    (769, "ERROR_SNAPSHOT"),
    (2, "INTERNAL"),
    (3, "PERM"),
    (4, "ABORT"),
    (516, "ABORT_ROLLBACK"),
    (5, "BUSY"),
    (261, "BUSY_RECOVERY"),
    (517, "BUSY_SNAPSHOT"),
    (773, "BUSY_TIMEOUT"),
    (6, "LOCKED"),
    (262, "LOCKED_SHAREDCACHE"),
    (518, "LOCKED_VTAB"),
    (7, "NOMEM"),
    (8, "READONLY"),
    (264, "READONLY_RECOVERY"),
    (520, "READONLY_CANTLOCK"),
    (776, "READONLY_ROLLBACK"),
    (1032, "READONLY_DBMOVED"),
    (1288, "READONLY_CANTINIT"),
    (1544, "READONLY_DIRECTORY"),
    (9, "INTERRUPT"),
    (10, "IOERR"),
    (266, "IOERR_READ"),
    (522, "IOERR_SHORT_READ"),
    (778, "IOERR_WRITE"),
    (1034, "IOERR_FSYNC"),
    (1290, "IOERR_DIR_FSYNC"),
    (1546, "IOERR_TRUNCATE"),
    (1802, "IOERR_FSTAT"),
    (2058, "IOERR_UNLOCK"),
    (2314, "IOERR_RDLOCK"),
    (2570, "IOERR_DELETE"),
    (2826, "IOERR_BLOCKED"),
    (3082, "IOERR_NOMEM"),
    (3338, "IOERR_ACCESS"),
    (3594, "IOERR_CHECKRESERVEDLOCK"),
    (3850, "IOERR_LOCK"),
    (4106, "IOERR_CLOSE"),
    (4362, "IOERR_DIR_CLOSE"),
    (4618, "IOERR_SHMOPEN"),
    (4874, "IOERR_SHMSIZE"),
    (5130, "IOERR_SHMLOCK"),
    (5386, "IOERR_SHMMAP"),
    (5642, "IOERR_SEEK"),
    (5898, "IOERR_DELETE_NOENT"),
    (6154, "IOERR_MMAP"),
    (6410, "IOERR_GETTEMPPATH"),
    (6666, "IOERR_CONVPATH"),
    (6922, "IOERR_VNODE"),
    (7178, "IOERR_AUTH"),
    (7434, "IOERR_BEGIN_ATOMIC"),
    (7690, "IOERR_COMMIT_ATOMIC"),
    (7946, "IOERR_ROLLBACK_ATOMIC"),
    (8202, "IOERR_DATA"),
    (8458, "IOERR_CORRUPTFS"),
    (8714, "IOERR_IN_PAGE"),
    (11, "CORRUPT"),
    (267, "CORRUPT_VTAB"),
    (523, "CORRUPT_SEQUENCE"),
    (779, "CORRUPT_INDEX"),
    (12, "NOTFOUND"),
    (13, "FULL"),
    (14, "CANTOPEN"),
    (270, "CANTOPEN_NOTEMPDIR"),
    (526, "CANTOPEN_ISDIR"),
    (782, "CANTOPEN_FULLPATH"),
    (1038, "CANTOPEN_CONVPATH"),
    (1294, "CANTOPEN_DIRTYWAL"),
    (1550, "CANTOPEN_SYMLINK"),
    (15, "PROTOCOL"),
    (16, "EMPTY"),
    (17, "SCHEMA"),
    (18, "TOOBIG"),
    (19, "CONSTRAINT"),
    (275, "CONSTRAINT_CHECK"),
    (531, "CONSTRAINT_COMMITHOOK"),
    (787, "CONSTRAINT_FOREIGNKEY"),
    (1043, "CONSTRAINT_FUNCTION"),
    (1299, "CONSTRAINT_NOTNULL"),
    (1555, "CONSTRAINT_PRIMARYKEY"),
    (1811, "CONSTRAINT_TRIGGER"),
    (2067, "CONSTRAINT_UNIQUE"),
    (2323, "CONSTRAINT_VTAB"),
    (2579, "CONSTRAINT_ROWID"),
    (2835, "CONSTRAINT_PINNED"),
    (3091, "CONSTRAINT_DATATYPE"),
    (20, "MISMATCH"),
    (21, "MISUSE"),
    (22, "NOLFS"),
    (23, "AUTH"),
    (279, "AUTH_USER"),
    (24, "FORMAT"),
    (25, "RANGE"),
    (26, "NOTADB"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_sqlite() {
        use Side::{Client, Soakd};
        for (code, side, kind, name) in [
            (5, Client, Kind::Locked, "SQLITE_BUSY"),
            (517, Client, Kind::Locked, "SQLITE_BUSY_SNAPSHOT"),
            (262, Client, Kind::Locked, "SQLITE_LOCKED_SHAREDCACHE"),
            (15, Client, Kind::Locked, "SQLITE_PROTOCOL"),
            (2067, Client, Kind::Constraint, "SQLITE_CONSTRAINT_UNIQUE"),
            (787, Client, Kind::Constraint, "SQLITE_CONSTRAINT_FOREIGNKEY"),
            (9, Soakd, Kind::Timeout, "SQLITE_INTERRUPT"),
            (13, Client, Kind::DiskFull, "SQLITE_FULL"),
            (26, Client, Kind::Corrupt, "SQLITE_NOTADB"),
            (1544, Client, Kind::Config, "SQLITE_READONLY_DIRECTORY"),
            (14, Client, Kind::Config, "SQLITE_CANTOPEN"),
            (1034, Client, Kind::Other, "SQLITE_IOERR_FSYNC"),
            (1, Client, Kind::Other, "SQLITE_ERROR"),
            (21, Soakd, Kind::Other, "SQLITE_MISUSE"),
            (9983, Client, Kind::Other, "9983"),
        ] {
            assert_eq!((sqlite(code), sqlite_name(code).as_str()), ((side, kind), name));
        }
    }

    #[test]
    fn every_name_is_there_once() {
        let codes: std::collections::BTreeSet<i32> = NAMES.iter().map(|(code, _)| *code).collect();
        let names: std::collections::BTreeSet<&str> = NAMES.iter().map(|(_, name)| *name).collect();
        assert_eq!((codes.len(), names.len()), (NAMES.len(), NAMES.len()));
        // An extended code is named after its result code, which is its low byte.
        for (code, name) in NAMES.iter().filter(|(code, _)| *code > 255) {
            let base = sqlite_name(code & 0xff);
            assert!(format!("SQLITE_{name}").starts_with(&base), "{code}: {name} does not begin with {base}");
        }
    }

    #[test]
    fn states_of_postgres() {
        use Side::{Client, Network, Server, Soakd};
        for (code, side, kind) in [
            ("40P01", Server, Kind::Deadlock),
            ("40001", Server, Kind::Serialization),
            ("55P03", Server, Kind::Locked),
            ("57014", Server, Kind::Timeout),
            ("53300", Server, Kind::Busy),
            ("57P03", Server, Kind::Busy),
            ("53200", Server, Kind::Busy),
            ("53100", Server, Kind::DiskFull),
            ("57P01", Network, Kind::Reset),
            ("57P02", Network, Kind::Reset),
            ("08006", Network, Kind::Reset),
            ("23505", Client, Kind::Constraint),
            ("23503", Client, Kind::Constraint),
            ("22003", Client, Kind::Constraint),
            ("42501", Server, Kind::Denied),
            ("28P01", Server, Kind::Auth),
            ("28000", Server, Kind::Auth),
            ("42P01", Client, Kind::Schema),
            ("3F000", Client, Kind::Schema),
            ("3D000", Client, Kind::Config),
            ("25006", Client, Kind::Config),
            ("25P02", Soakd, Kind::Other),
            ("XX001", Server, Kind::Corrupt),
            ("XX002", Server, Kind::Corrupt),
            ("XX000", Server, Kind::Other),
            ("58030", Server, Kind::Other),
            ("", Server, Kind::Other),
            ("é", Server, Kind::Other),
        ] {
            assert_eq!(sqlstate(code), (side, kind), "{code}");
        }
    }
}
