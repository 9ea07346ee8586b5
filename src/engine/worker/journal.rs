//! The worker's memory, inside its local database: finished steps, the journal of writes, and attempts to send. A step's
//! record commits in the transaction of its rows, so after any crash the file itself says what was done.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::model::ids::DbNo;
use crate::model::journal::{CycleJournal, StateRun, WriteEntry, WriteRun};
use crate::model::step::StepReport;

/// Creates the tables; they are not synced.
pub fn create(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS soakd_progress(cycle INTEGER, step INTEGER, report TEXT NOT NULL, PRIMARY KEY(cycle, step));
         CREATE TABLE IF NOT EXISTS soakd_journal(cycle INTEGER, step INTEGER, runs TEXT NOT NULL, PRIMARY KEY(cycle, step));
         CREATE TABLE IF NOT EXISTS soakd_send(no INTEGER PRIMARY KEY, cycle INTEGER, after_step INTEGER, ended INTEGER,
                                               seq_first INTEGER, seq_last INTEGER);
         CREATE TABLE IF NOT EXISTS soakd_mark(name TEXT PRIMARY KEY, value INTEGER);",
    )
}

/// Serialization into these tables cannot fail for our own plain types; a failure is reported as SQLite's own error kind.
fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

/// Records what the database held when the cycle began, once.
pub fn set_baseline(conn: &Connection, cycle: u64, states: &[StateRun]) -> rusqlite::Result<()> {
    conn.execute("INSERT OR IGNORE INTO soakd_journal VALUES (?1, 0, ?2)", params![cycle as i64, json(&states)?])?;
    Ok(())
}

/// Returns true if the cycle's baseline is recorded.
pub fn has_baseline(conn: &Connection, cycle: u64) -> rusqlite::Result<bool> {
    let found = conn.query_row("SELECT 1 FROM soakd_journal WHERE cycle = ?1 AND step = 0", [cycle as i64], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Records a write step in the transaction of its rows.
pub fn record_write(tx: &Transaction<'_>, report: &StepReport, runs: &[WriteRun]) -> rusqlite::Result<()> {
    let key = params![report.cycle as i64, report.step.no, json(&runs)?];
    tx.execute("INSERT INTO soakd_journal VALUES (?1, ?2, ?3)", key)?;
    record_step(tx, report)
}

/// Records a finished step.
pub fn record_step(conn: &Connection, report: &StepReport) -> rusqlite::Result<()> {
    let key = params![report.cycle as i64, report.step.no, json(report)?];
    conn.execute("INSERT INTO soakd_progress VALUES (?1, ?2, ?3)", key)?;
    Ok(())
}

/// Returns the finished steps of a cycle in order.
pub fn progress(conn: &Connection, cycle: u64) -> rusqlite::Result<Vec<StepReport>> {
    let mut statement = conn.prepare("SELECT report FROM soakd_progress WHERE cycle = ?1 ORDER BY step")?;
    let rows = statement.query_map([cycle as i64], |row| row.get::<_, String>(0))?;
    rows.map(|text| parse(&text?)).collect()
}

/// Returns the number of the last finished step of a cycle; 0 when there is none.
pub fn last_step(conn: &Connection, cycle: u64) -> rusqlite::Result<u32> {
    conn.query_row("SELECT ifnull(max(step), 0) FROM soakd_progress WHERE cycle = ?1", [cycle as i64], |row| row.get(0))
}

/// Notes that a send is about to start, and returns its number.
pub fn begin_send(conn: &Connection, cycle: u64, after_step: u32) -> rusqlite::Result<i64> {
    conn.execute(
        "INSERT INTO soakd_send(cycle, after_step, ended) VALUES (?1, ?2, 0)",
        params![cycle as i64, after_step],
    )?;
    Ok(conn.last_insert_rowid())
}

/// Notes that the send was acknowledged.
pub fn end_send(conn: &Connection, no: i64, seq: Option<(u64, u64)>) -> rusqlite::Result<()> {
    let (first, last) = (seq.map(|s| s.0 as i64), seq.map(|s| s.1 as i64));
    conn.execute(
        "UPDATE soakd_send SET ended = 1, seq_first = ?2, seq_last = ?3 WHERE no = ?1",
        params![no, first, last],
    )?;
    Ok(())
}

/// Notes that the sync position was reset in this cycle: old changes may be sent again.
pub fn mark_resent(conn: &Connection, cycle: u64) -> rusqlite::Result<()> {
    conn.execute("INSERT OR REPLACE INTO soakd_mark VALUES ('resent', ?1)", [cycle as i64])?;
    Ok(())
}

/// One attempt to send.
struct Attempt {
    after_step: u32,
    acknowledged: bool,
    seq: Option<(u64, u64)>,
}

/// Returns the journal of a cycle.
pub fn cycle(conn: &Connection, db: DbNo, cycle: u64) -> rusqlite::Result<CycleJournal> {
    let mut statement = conn.prepare("SELECT step, runs FROM soakd_journal WHERE cycle = ?1 ORDER BY step")?;
    let rows = statement.query_map([cycle as i64], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?)))?;
    let mut journal = CycleJournal { db, cycle, baseline: Vec::new(), writes: Vec::new(), resent: false };
    let mut entries: BTreeMap<u32, Vec<WriteRun>> = BTreeMap::new();
    for row in rows {
        let (step, text) = row?;
        if step == 0 {
            journal.baseline = parse(&text)?;
        } else {
            entries.insert(step, parse(&text)?);
        }
    }
    let attempts = attempts(conn, cycle)?;
    for (step, runs) in entries {
        let (acknowledged, seq) = fate(&attempts, step);
        journal.writes.push(WriteEntry { db, step, runs, acknowledged, seq });
    }
    let resent = conn
        .query_row("SELECT value FROM soakd_mark WHERE name = 'resent'", [], |row| row.get::<_, i64>(0))
        .optional()?;
    journal.resent = resent == Some(cycle as i64);
    Ok(journal)
}

fn attempts(conn: &Connection, cycle: u64) -> rusqlite::Result<Vec<Attempt>> {
    let mut statement =
        conn.prepare("SELECT after_step, ended, seq_first, seq_last FROM soakd_send WHERE cycle = ?1 ORDER BY no")?;
    let rows = statement.query_map([cycle as i64], |row| {
        let seq = row.get::<_, Option<i64>>(2)?.zip(row.get::<_, Option<i64>>(3)?);
        let seq = seq.map(|(first, last)| (first as u64, last as u64));
        Ok(Attempt { after_step: row.get(0)?, acknowledged: row.get(1)?, seq })
    })?;
    rows.collect()
}

/// Returns whether the write of `step` was acknowledged, and between which sequence numbers the server must have put it.
///
/// An attempt that ended badly may have delivered a part, so the lower bound then goes back to the end of the last send
/// that was acknowledged before it.
fn fate(attempts: &[Attempt], step: u32) -> (bool, Option<(u64, u64)>) {
    let mut before = 0;
    let mut uncertain = false;
    for attempt in attempts {
        if attempt.after_step < step {
            if let (true, Some((_, last))) = (attempt.acknowledged, attempt.seq) {
                before = last;
            }
            continue;
        }
        if !attempt.acknowledged {
            uncertain = true;
            continue;
        }
        let seq = attempt.seq.map(|(first, last)| if uncertain { (before + 1, last) } else { (first, last) });
        return (true, seq);
    }
    (false, None)
}

/// Forgets everything up to and including `cycle`.
pub fn close_cycle(conn: &Connection, cycle: u64) -> rusqlite::Result<()> {
    for table in ["soakd_progress", "soakd_journal", "soakd_send"] {
        conn.execute(&format!("DELETE FROM {table} WHERE cycle <= ?1"), [cycle as i64])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(after_step: u32, seq: Option<(u64, u64)>) -> Attempt {
        Attempt { after_step, acknowledged: seq.is_some(), seq }
    }

    #[test]
    fn a_write_is_acknowledged_by_the_first_good_send_after_it() {
        let attempts = [attempt(1, Some((1, 10))), attempt(4, None), attempt(4, Some((30, 40)))];
        assert_eq!(fate(&attempts, 1), (true, Some((1, 10))));
        assert_eq!(fate(&attempts, 4), (true, Some((11, 40))), "the failed attempt may have delivered a part");
        assert_eq!(fate(&attempts, 7), (false, None));
    }

    #[test]
    fn closing_a_cycle_forgets_it_and_nothing_else() {
        let conn = Connection::open_in_memory().unwrap();
        create(&conn).unwrap();
        set_baseline(&conn, 1, &[]).unwrap();
        set_baseline(&conn, 2, &[]).unwrap();
        close_cycle(&conn, 1).unwrap();
        assert!(!has_baseline(&conn, 1).unwrap() && has_baseline(&conn, 2).unwrap());
        assert_eq!(last_step(&conn, 2).unwrap(), 0);
    }
}
