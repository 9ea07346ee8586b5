//! Executes write steps: rows, journal and progress in one transaction of the local database.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction, params_from_iter};

use super::scan;
use crate::model::content::{self, Stamp};
use crate::model::ids::{RowClass, RowKey};
use crate::model::journal::{StateRun, Version, WriteRun};
use crate::model::schema::{TableSpec, quote};
use crate::model::step::{Action, Step};
use crate::model::value::Value;
use crate::workload::sync::Plan;

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(n) => ValueRef::Integer(*n),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What a write step needs to know.
pub struct Writer<'a> {
    pub table: &'a TableSpec,
    pub plan: &'a Plan,
    pub owner: &'a str,
    pub db: u32,
    pub cycle: u64,
}

/// What a write step did.
pub struct Written {
    pub rows: u64,
    pub runs: Vec<WriteRun>,
}

impl Writer<'_> {
    /// Executes one write step inside `tx`.
    pub fn execute(&self, tx: &Transaction<'_>, step: &Step) -> rusqlite::Result<Written> {
        let stamp = Stamp { db: self.db, cycle: self.cycle, step: step.no };
        let mut rng = crate::workload::sync::branch(self.plan.seed, self.cycle, self.db, step.no);
        match step.action {
            Action::DeleteAll => self.delete_all(tx),
            Action::Insert { rows } => self.insert(tx, stamp, RowClass { db: self.db, iter: step.iter }, 1..=rows),
            Action::Fill { rows } => self.insert(tx, stamp, self.plan.fill_class(self.db), 1..=rows),
            Action::UpdateAll => self.update_all(tx, stamp),
            Action::DeleteRandom { count } => self.delete_random(tx, count, &mut rng),
            Action::Contend { per_mille } => self.contend(tx, stamp, per_mille, &mut rng),
            Action::Send | Action::Receive | Action::Wait { .. } | Action::Lane(_) => {
                Ok(Written { rows: 0, runs: Vec::new() })
            }
        }
    }

    fn table_name(&self) -> String {
        quote(&self.table.name)
    }

    fn delete_all(&self, tx: &Transaction<'_>) -> rusqlite::Result<Written> {
        let states = scan::states(tx, self.table, self.plan.seed)?;
        let rows = tx.prepare_cached(&format!("DELETE FROM {}", self.table_name()))?.execute([])? as u64;
        let runs = states.iter().map(|run| write_run(run, Some(run.version), None)).collect();
        Ok(Written { rows, runs })
    }

    fn update_all(&self, tx: &Transaction<'_>, stamp: Stamp) -> rusqlite::Result<Written> {
        let states = scan::states(tx, self.table, self.plan.seed)?;
        let counter = self.table.quoted(self.table.counter);
        let set = format!("{counter} = {counter} + 1, {} = ?1", self.table.quoted(self.table.stamp));
        let sql = format!("UPDATE {} SET {set}", self.table_name());
        let rows = tx.prepare_cached(&sql)?.execute([stamp.text()])? as u64;
        let next = |version: Version| Version { stamp, depth: version.depth + 1 };
        let runs = states.iter().map(|run| write_run(run, Some(run.version), Some(next(run.version)))).collect();
        Ok(Written { rows, runs })
    }

    fn insert(
        &self,
        tx: &Transaction<'_>,
        stamp: Stamp,
        class: RowClass,
        rows: impl Iterator<Item = u32>,
    ) -> rusqlite::Result<Written> {
        let mut statement = tx.prepare_cached(&self.insert_sql())?;
        let version = Version { stamp, depth: 0 };
        let mut journal = RunCollector::default();
        let mut inserted = 0;
        for row in rows {
            let content = content::fresh_row(self.table, self.plan.seed, &class.key(row), self.owner, &stamp);
            if statement.execute(params_from_iter(content.iter()))? == 1 {
                inserted += 1;
                journal.push(class, row, None, Some(version));
            }
        }
        Ok(Written { rows: inserted, runs: journal.0 })
    }

    /// A row that is there already stays as it is: it is somebody's write.
    fn insert_sql(&self) -> String {
        let marks = vec!["?"; self.table.columns.len()].join(", ");
        let columns = self.table.column_list();
        format!("INSERT INTO {} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING", self.table_name())
    }

    fn delete_random(&self, tx: &Transaction<'_>, count: u32, rng: &mut ChaCha8Rng) -> rusqlite::Result<Written> {
        let states = scan::states(tx, self.table, self.plan.seed)?;
        let total: u64 = states.iter().map(|run| u64::from(run.last - run.first) + 1).sum();
        let mut chosen = BTreeSet::new();
        let wanted = u64::from(count).min(total);
        while (chosen.len() as u64) < wanted {
            chosen.insert(rng.random_range(0..total));
        }
        let mut journal = RunCollector::default();
        let mut rows = 0;
        for (key, version) in chosen.into_iter().filter_map(|n| nth(&states, n)) {
            rows += self.delete_one(tx, &key)?;
            journal.push(key.class(), key.row, Some(version), None);
        }
        Ok(Written { rows, runs: journal.0 })
    }

    fn delete_one(&self, tx: &Transaction<'_>, key: &RowKey) -> rusqlite::Result<u64> {
        let sql = format!("DELETE FROM {} WHERE {} = ?1", self.table_name(), self.table.quoted(self.table.key));
        Ok(tx.prepare_cached(&sql)?.execute([key.to_string()])? as u64)
    }

    fn contend(
        &self,
        tx: &Transaction<'_>,
        stamp: Stamp,
        per_mille: u32,
        rng: &mut ChaCha8Rng,
    ) -> rusqlite::Result<Written> {
        let class = self.plan.fill_class(self.db);
        let states = scan::states(tx, self.table, self.plan.seed)?;
        let here: BTreeMap<u32, Version> = states
            .iter()
            .filter(|run| run.class == class)
            .flat_map(|run| (run.first..=run.last).map(|row| (row, run.version)))
            .collect();
        let count = (u64::from(self.plan.rows) * u64::from(per_mille) / 1000).max(1);
        let mut chosen = BTreeSet::new();
        for _ in 0..count {
            chosen.insert(rng.random_range(1..=self.plan.rows));
        }
        let mut journal = RunCollector::default();
        let mut rows = 0;
        for row in chosen {
            let key = class.key(row);
            match here.get(&row).copied() {
                Some(seen) if rng.random_range(0..10) < 3 => {
                    rows += self.delete_one(tx, &key)?;
                    journal.push(class, row, Some(seen), None);
                }
                Some(seen) => {
                    rows += self.update_one(tx, &key, stamp)?;
                    journal.push(class, row, Some(seen), Some(Version { stamp, depth: seen.depth + 1 }));
                }
                None => {
                    let inserted = self.insert(tx, stamp, class, row..=row)?;
                    rows += inserted.rows;
                    inserted.runs.iter().for_each(|run| journal.push(class, row, run.seen, run.wrote));
                }
            }
        }
        Ok(Written { rows, runs: journal.0 })
    }

    fn update_one(&self, tx: &Transaction<'_>, key: &RowKey, stamp: Stamp) -> rusqlite::Result<u64> {
        let counter = self.table.quoted(self.table.counter);
        let set = format!("{counter} = {counter} + 1, {} = ?1", self.table.quoted(self.table.stamp));
        let sql = format!("UPDATE {} SET {set} WHERE {} = ?2", self.table_name(), self.table.quoted(self.table.key));
        Ok(tx.prepare_cached(&sql)?.execute([stamp.text(), key.to_string()])? as u64)
    }

    /// Writes rows as they are given, for probes: an existing row is overwritten.
    pub fn write_raw(&self, conn: &Connection, upsert: &[Vec<Value>], delete: &[String]) -> rusqlite::Result<()> {
        let marks = vec!["?"; self.table.columns.len()].join(", ");
        let key = self.table.quoted(self.table.key);
        let keys: Vec<String> = (0..self.table.columns.len())
            .filter(|i| self.table.columns[*i].pk > 0)
            .map(|i| self.table.quoted(i))
            .collect();
        let set = (0..self.table.columns.len())
            .filter(|i| self.table.columns[*i].pk == 0)
            .map(|i| format!("{0} = excluded.{0}", self.table.quoted(i)))
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({marks}) ON CONFLICT({}) DO UPDATE SET {set}",
            self.table_name(),
            self.table.column_list(),
            keys.join(", ")
        );
        let mut statement = conn.prepare_cached(&sql)?;
        for row in upsert {
            statement.execute(params_from_iter(row.iter()))?;
        }
        let mut statement = conn.prepare_cached(&format!("DELETE FROM {} WHERE {key} = ?1", self.table_name()))?;
        for key in delete {
            statement.execute([key])?;
        }
        Ok(())
    }
}

/// Collects written rows in ascending order and merges neighbours.
#[derive(Default)]
struct RunCollector(Vec<WriteRun>);

impl RunCollector {
    fn push(&mut self, class: RowClass, row: u32, seen: Option<Version>, wrote: Option<Version>) {
        match self.0.last_mut() {
            Some(last)
                if last.class == class
                    && last.seen == seen
                    && last.wrote == wrote
                    && last.last.checked_add(1) == Some(row) =>
            {
                last.last = row;
            }
            _ => self.0.push(WriteRun { class, first: row, last: row, seen, wrote }),
        }
    }
}

fn write_run(run: &StateRun, seen: Option<Version>, wrote: Option<Version>) -> WriteRun {
    WriteRun { class: run.class, first: run.first, last: run.last, seen, wrote }
}

/// Returns the `n`-th row of a list of runs, counted from 0.
fn nth(states: &[StateRun], mut n: u64) -> Option<(RowKey, Version)> {
    for run in states {
        let len = u64::from(run.last - run.first) + 1;
        if n < len {
            return Some((run.class.key(run.first + n as u32), run.version));
        }
        n -= len;
    }
    None
}
