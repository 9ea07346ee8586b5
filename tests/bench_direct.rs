//! Figures of databases that are driven directly, printed by `make bench`: every role of the bank on SQLite beside a bare loop of
//! the same statements, and memory over ten million operations. Ignored otherwise: it proves nothing on a busy machine.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use soakd::direct::{Lane, Run};
use soakd::workload::bank::{Identity, Key, sql};

/// Accounts that the roles work on.
const ACCOUNTS: u32 = 80_000;
/// Length of one measurement in seconds; there are three of each, in turns.
const SECONDS: u32 = 3;
const TURNS: usize = 3;

/// Operations per second, with half and 99 % of their times in microseconds.
#[derive(Clone, Copy, Default)]
struct Speed {
    rate: f64,
    p50: u64,
    p99: u64,
}

fn soakd(role: Lane, dir: &Path) -> Speed {
    let result = Run::bank()
        .seconds(SECONDS)
        .with_bank(|bank| {
            bank.accounts = ACCOUNTS;
            let workers = &mut bank.workers;
            (workers.inserter, workers.transferrer, workers.reader, workers.checker, workers.deleter) = (0, 0, 0, 0, 0);
            match role {
                Lane::Inserter => workers.inserter = 1,
                Lane::Transferrer => workers.transferrer = 1,
                Lane::Reader => workers.reader = 1,
                Lane::Checker => workers.checker = 1,
                _ => workers.deleter = 1,
            }
        })
        .sqlite(dir.join("soakd.sqlite"))
        .journal(dir.join("journal"))
        .go()
        .unwrap();
    assert!(result.unexpected() == 0, "{result}");
    let latency = &result.latency[&role];
    Speed { rate: result.lane(role).rate(), p50: latency.quantile(0.5), p99: latency.quantile(0.99) }
}

/// A connection as the workload's own.
fn connect(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;").unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db.set_prepared_statement_cache_capacity(64);
    db
}

/// The values of an account as they are bound.
type Values = (String, i64, String, f64, String, String);

/// Does what one operation of a role asks of the database, and nothing else.
struct Bare {
    db: Connection,
    identity: Identity,
    n: u64,
}

impl Bare {
    fn new(dir: &Path) -> Self {
        let db = connect(&dir.join("bare.sqlite"));
        db.execute_batch(sql::SQLITE).unwrap();
        let mut bare = Self { db, identity: Identity::new(7), n: 0 };
        for _ in 0..ACCOUNTS / 20 {
            bare.insert();
        }
        bare
    }

    fn account(&mut self) -> Values {
        self.n += 1;
        let row = Key { cycle: 1, lane: Lane::Inserter, worker: 1, no: self.n, index: 0 };
        let account = self.identity.account(row);
        let time = soakd::target::sql::value::time_text(account.created_at);
        (account.name, account.balance, account.ref_id.to_string(), account.interest_rate, account.risk_score, time)
    }

    fn insert(&mut self) {
        self.db.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..20 {
            let (name, balance, reference, rate, risk, time) = self.account();
            let mut statement = self.db.prepare_cached(sql::INSERT).unwrap();
            let _: i64 =
                statement.query_row(params![name, balance, reference, rate, risk, time], |r| r.get(0)).unwrap();
        }
        self.db.execute_batch("COMMIT").unwrap();
    }

    /// Reads a page, all values of it, and returns ids, names and balances.
    fn page(&self, limit: i64, offset: i64) -> Vec<(i64, String, i64)> {
        let mut statement = self.db.prepare_cached(sql::PAGE).unwrap();
        let rows = statement.query_map([limit, offset], |r| {
            let (_, _, _, _): (String, f64, String, String) = (r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?);
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn transfer(&mut self) {
        self.n += 1;
        let page = self.page(50, 0);
        let (from, to) = (&page[self.n as usize % 50], &page[(self.n as usize + 7) % 50]);
        self.db.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (_, name, _) in [from, to] {
            let mut take = self.db.prepare_cached(sql::TAKE_SQLITE).unwrap();
            let _: (i64, i64) = take.query_row([name], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        }
        // `$2` stands before `$1` in neither: binding by position is right.
        self.db.prepare_cached(sql::DEBIT).unwrap().execute([1, from.0]).unwrap();
        self.db.prepare_cached(sql::CREDIT).unwrap().execute([1, to.0]).unwrap();
        let time = "2026-01-01T00:00:00.000000Z";
        let mut insert = self.db.prepare_cached(sql::TRANSFER).unwrap();
        insert.execute(params![from.0, to.0, 1, "018ecfc2-b2b1-7cc3-a9f0-000000000001", time]).unwrap();
        for (id, ..) in [from, to] {
            let _: i64 = self.db.prepare_cached(sql::BALANCE).unwrap().query_row([id], |r| r.get(0)).unwrap();
        }
        self.db.execute_batch("COMMIT").unwrap();
    }

    fn read(&mut self) {
        self.n += 1;
        self.db.execute_batch("BEGIN").unwrap();
        let count: i64 = self.db.prepare_cached(sql::COUNT).unwrap().query_row([], |r| r.get(0)).unwrap();
        if self.n % 2 == 1 {
            self.page(15, (self.n as i64 * 7919) % count);
        } else {
            let mut statement = self.db.prepare_cached(sql::ALL).unwrap();
            let mut rows = statement.query([]).unwrap();
            for _ in 0..50 {
                let row = rows.next().unwrap().unwrap();
                let _: (i64, String, i64) = (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
                let _: (String, f64) = (row.get(3).unwrap(), row.get(4).unwrap());
                let _: (String, String) = (row.get(5).unwrap(), row.get(6).unwrap());
            }
        }
        self.db.execute_batch("COMMIT").unwrap();
    }

    fn check(&mut self) {
        self.n += 1;
        self.db.execute_batch("BEGIN").unwrap();
        let page = self.page(10, 0);
        let (id, name, _) = &page[self.n as usize % 10];
        let never = format!("acct_{:032x}", self.n);
        self.all(sql::BY_NAME, &never);
        self.all(sql::BY_ID, &999_999_999);
        self.all(sql::BY_ID, id);
        for statement in [sql::SENT, sql::RECEIVED, sql::TRANSFERS, sql::TRANSFERS, sql::NAME, sql::RISK, sql::RISK] {
            self.all(statement, id);
        }
        for statement in [sql::RATE, sql::REF_ID, sql::CREATED, sql::LENGTH, sql::HIGH_RATE] {
            self.all(statement, id);
        }
        self.all(sql::ID, name);
        self.db.execute_batch("COMMIT").unwrap();
    }

    /// Reads all values of all rows.
    fn all(&self, statement: &str, param: &dyn rusqlite::ToSql) {
        let mut statement = self.db.prepare_cached(statement).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([param]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                let _: rusqlite::types::Value = row.get(column).unwrap();
            }
        }
    }

    fn delete(&mut self) {
        self.n += 1;
        let page = self.page(100, 0);
        let (id, ..) = &page[self.n as usize % page.len()];
        let mut statement = self.db.prepare_cached(sql::DELETE).unwrap();
        let _: (String, i64) = statement.query_row([id], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    }

    fn measure(role: Lane, dir: &Path) -> Speed {
        let mut bare = Self::new(dir);
        let operation = match role {
            Lane::Inserter => Self::insert,
            Lane::Transferrer => Self::transfer,
            Lane::Reader => Self::read,
            Lane::Checker => Self::check,
            _ => Self::delete,
        };
        let mut times = Vec::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(u64::from(SECONDS)) {
            let from = Instant::now();
            operation(&mut bare);
            times.push(from.elapsed().as_micros() as u64);
        }
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Speed { rate, p50: at(0.5), p99: at(0.99) }
    }
}

/// Returns the measurement in the middle.
fn middle(mut all: Vec<Speed>) -> Speed {
    all.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    all[all.len() / 2]
}

#[test]
#[ignore = "prints figures, see make bench"]
fn roles_on_sqlite_beside_a_bare_loop() {
    println!(
        "{:<12} {:>10} {:>8} {:>8}   {:>10} {:>8} {:>8}   ratio (goal 0.90)",
        "role", "soakd/s", "p50 us", "p99 us", "bare/s", "p50 us", "p99 us"
    );
    for role in Lane::BANK {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let dir = tempfile::tempdir().unwrap();
            ours.push(soakd(role, dir.path()));
            bare.push(Bare::measure(role, dir.path()));
        }
        let (ours, bare) = (middle(ours), middle(bare));
        println!(
            "{role:<12} {:>10.0} {:>8} {:>8}   {:>10.0} {:>8} {:>8}   {:.2}",
            ours.rate,
            ours.p50,
            ours.p99,
            bare.rate,
            bare.p50,
            bare.p99,
            ours.rate / bare.rate
        );
    }
}
