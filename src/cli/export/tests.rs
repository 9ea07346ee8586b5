//! Exports: every format holds the same rows, and the documentation is of the columns that there are.

use std::collections::BTreeMap;
use std::fs;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use serde_json::Value;

use super::table::{Cell, Kind, Shape, documentation, write};
use super::*;
use crate::cli::state::State;
use crate::model::finding::{Finding, Kind as FindingKind, Side};
use crate::model::judgement::{CriterionResult, LatencySummary};
use crate::model::measure::CycleMeasures;
use crate::model::record::{EpochRecord, Outage, Phase};
use crate::model::verdict::Verdict;
use crate::observe::report::sample;
use crate::store::Store;

/// Keeps what is written, and the shapes of the tables.
#[derive(Default)]
struct Kept(Vec<(Shape, Vec<Vec<Cell>>)>);

impl Sink for Kept {
    fn begin(&mut self, shape: &Shape) -> io::Result<()> {
        self.0.push((shape.clone(), Vec::new()));
        Ok(())
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.0.last_mut().unwrap().1.push(cells.to_vec());
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn finding(at_ms: i64) -> Finding {
    Finding {
        at_ms,
        cycle: 2,
        phase: "load".to_owned(),
        db: None,
        user: Some(1),
        iter: None,
        step: None,
        side: Side::Server,
        kind: FindingKind::Auth,
        code: None,
        message: "unknown key, \"quoted\"\n=1+1; \u{e4}\u{1f980}".to_owned(),
        tolerated: false,
    }
}

/// A state with something in every table that the state file fills now.
fn state() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut snapshot = sample::failing();
    let (run, ended_ms) = (snapshot.run.run.clone(), snapshot.run.ended_ms.take());
    snapshot.run.seed = u64::MAX;
    store.begin_run(&snapshot.run).unwrap();
    let epoch = EpochRecord {
        epoch: 1,
        pid: 4,
        started_ms: 5,
        last_ms: 9,
        cycle: 1,
        phase: Phase::Load,
        clean_end: true,
        steps_recovered: 0,
    };
    store.begin_epoch(&run, &epoch).unwrap();
    store.record_findings(&run, &[finding(snapshot.run.started_ms), finding(snapshot.run.started_ms + 9)]).unwrap();
    store.record_outages(&run, &[Outage { from_ms: 5, until_ms: None, reason: "refused".to_owned() }]).unwrap();
    for cycle in &snapshot.cycles {
        let mut measures = CycleMeasures { cycle: cycle.cycle, at_ms: cycle.ended_ms, ..CycleMeasures::default() };
        measures.note("rss.target", cycle.cycle as f64 / 3.0, 77);
        measures.note("of nobody", 1e300, 77);
        store.record_measures(&run, &measures).unwrap();
        store.record_series(cycle.ended_ms, &[("rss.daemon", 0.1)]).unwrap();
        store.finish_cycle(&snapshot.run, cycle, &BTreeMap::new()).unwrap();
    }
    snapshot.run.ended_ms = ended_ms;
    store.end_run(&snapshot.run).unwrap();
    drop(store);
    let state = State::open(dir.path().to_owned()).unwrap().unwrap();
    (dir, state)
}

fn source(state: &State) -> Source<'_> {
    let run = state.runs().unwrap()[0].run.clone();
    Source::new(state, state.snapshot(&run).unwrap().unwrap())
}

fn kept(state: &State) -> Vec<(Shape, Vec<Vec<Cell>>)> {
    let mut kept = Kept::default();
    source(state).tables(&mut kept).unwrap();
    kept.0
}

#[test]
fn every_table_has_its_rows() {
    let (_dir, state) = state();
    let tables = kept(&state);
    assert_eq!(tables.iter().map(|(shape, _)| shape.clone()).collect::<Vec<_>>(), tables::shapes());
    let rows: BTreeMap<&str, usize> = tables.iter().map(|(shape, rows)| (shape.name, rows.len())).collect();
    let columns = tables.iter().map(|(shape, _)| shape.columns.len()).sum();
    let expected = [
        ("runs", 1),
        ("cycles", 3),
        ("checks", 10),
        ("findings", 1),
        ("outages", 1),
        ("epochs", 1),
        ("measures", 6),
        ("series", 3),
        ("criteria", 0),
        ("latency", 0),
        ("incidents", rows["incidents"]),
        ("columns", columns),
    ];
    assert_eq!(rows, expected.into());
    assert!(rows["incidents"] > 0);
}

#[test]
fn criteria_and_latencies_have_their_columns() {
    let result = CriterionResult {
        criterion: "memory_slope".to_owned(),
        metric: "rss.target".to_owned(),
        verdict: None,
        summary: "too little".to_owned(),
        limit: Some(1.5),
        value: Some(f64::NAN),
        low: None,
        high: None,
        confidence: Some(0.95),
        samples: 3,
        detectable: None,
        reaches_ms: Some(7),
        evidence: vec!["a".to_owned()],
    };
    let mut kept = Kept::default();
    let of = |row| tables::In { run: "r".to_owned(), row };
    let judged = of(figures::Judged { at_ms: 1, cycle: 2, result });
    write(&mut kept, &figures::CRITERIA, [Ok(judged)]).unwrap();
    let latency = LatencySummary { action: "sent".to_owned(), count: u64::MAX, ..LatencySummary::default() };
    write(&mut kept, &figures::LATENCY, [Ok(tables::In { run: "r".to_owned(), row: latency })]).unwrap();
    assert_eq!(kept.0[0].1[0][5..10], [Cell::Null, "too little".into(), 1.5.into(), Cell::Null, Cell::Null]);
    assert_eq!(kept.0[1].1[0][2], Cell::Integer(i64::MAX));
}

/// Returns a cell as the formats without types show it.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(n) => n.to_string(),
        Cell::Real(x) => format!("{x:e}"),
        Cell::Text(text) => text.clone(),
        Cell::Boolean(is) => is.to_string(),
    }
}

fn exported(state: &State, dir: &Path, format: ExportFormat, name: &str) -> PathBuf {
    let out = dir.join(name);
    assert_eq!(to_place(&source(state), format, &out, false).unwrap(), EXIT_OK);
    out
}

#[test]
fn json_holds_all_rows() {
    let (dir, state) = state();
    let out = exported(&state, dir.path(), ExportFormat::Json, "run.json");
    let read: Value = serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap();
    for (shape, rows) in kept(&state) {
        let objects = read[shape.name].as_array().unwrap();
        assert_eq!(objects.len(), rows.len(), "{}", shape.name);
        for (object, row) in objects.iter().zip(&rows) {
            assert_eq!(object.as_object().unwrap().len(), shape.columns.len());
            for (column, cell) in shape.columns.iter().zip(row).filter(|(column, _)| column.name != "as_of_ms") {
                let found = match &object[column.name] {
                    Value::Null => Cell::Null,
                    Value::Number(n) if column.kind == Kind::Real => Cell::Real(n.as_f64().unwrap()),
                    Value::Number(n) => Cell::Integer(n.as_i64().unwrap()),
                    Value::Bool(is) => Cell::Boolean(*is),
                    other => Cell::Text(other.as_str().unwrap().to_owned()),
                };
                assert_eq!(&found, cell, "{}.{}", shape.name, column.name);
            }
        }
    }
    assert_eq!(read["runs"][0]["seed"], u64::MAX.to_string());
}

#[test]
fn csv_holds_all_rows() {
    let (dir, state) = state();
    let out = exported(&state, dir.path(), ExportFormat::Csv, "csv");
    for (shape, rows) in kept(&state) {
        let mut reader = csv::Reader::from_path(out.join(format!("{}.csv", shape.name))).unwrap();
        let names: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        assert_eq!(names, shape.columns.iter().map(|column| column.name).collect::<Vec<_>>());
        let read: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(read.len(), rows.len(), "{}", shape.name);
        for (record, row) in read.iter().zip(&rows) {
            for ((column, text), cell) in shape.columns.iter().zip(record).zip(row) {
                let text = match (column.kind, text) {
                    (Kind::Real, text) if !text.is_empty() => format!("{:e}", text.parse::<f64>().unwrap()),
                    (_, text) => text.to_owned(),
                };
                assert!(column.name == "as_of_ms" || text == shown(cell), "{}.{}: {text}", shape.name, column.name);
            }
        }
    }
}

#[test]
fn sqlite_holds_all_rows_and_says_what_they_are() {
    let (dir, state) = state();
    let out = exported(&state, dir.path(), ExportFormat::Sqlite, "run.db");
    let database = rusqlite::Connection::open(out).unwrap();
    let one = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(one("PRAGMA integrity_check"), "ok");
    for (shape, rows) in kept(&state) {
        let sql = one(&format!("SELECT sql FROM sqlite_schema WHERE name = '{}'", shape.name));
        for column in &shape.columns {
            assert!(sql.contains(column.doc), "{}.{}", shape.name, column.name);
        }
        // The names stand alone, as people write them.
        let names = shape.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
        let mut read = database.prepare(&format!("SELECT {names} FROM {} ORDER BY rowid", shape.name)).unwrap();
        let mut read = read.query([]).unwrap();
        for row in &rows {
            let found = read.next().unwrap().unwrap();
            for (at, (column, cell)) in shape.columns.iter().zip(row).enumerate() {
                use rusqlite::types::Value as Sql;
                let found = match found.get(at).unwrap() {
                    Sql::Null => Cell::Null,
                    Sql::Integer(n) if column.kind == Kind::Boolean => Cell::Boolean(n == 1),
                    Sql::Integer(n) => Cell::Integer(n),
                    Sql::Real(x) => Cell::Real(x),
                    Sql::Text(text) => Cell::Text(text),
                    Sql::Blob(_) => panic!("a blob"),
                };
                assert!(column.name == "as_of_ms" || found == *cell, "{}.{}: {found:?}", shape.name, column.name);
            }
        }
        assert!(read.next().unwrap().is_none());
    }
}

#[test]
fn parquet_holds_all_rows() {
    let (dir, state) = state();
    let out = exported(&state, dir.path(), ExportFormat::Parquet, "parquet");
    for (shape, rows) in kept(&state) {
        let file = fs::File::open(out.join(format!("{}.parquet", shape.name))).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let told = reader.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(told.iter().any(|told| told.value.as_deref() == Some(shape.doc)), "{}", shape.name);
        let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), rows.len(), "{}", shape.name);
        for (found, row) in read.iter().zip(&rows) {
            for ((column, cell), (name, field)) in shape.columns.iter().zip(row).zip(found.get_column_iter()) {
                assert_eq!(column.name, name);
                let found = match field {
                    Field::Null => Cell::Null,
                    Field::Long(n) | Field::TimestampMillis(n) => Cell::Integer(*n),
                    Field::Double(x) => Cell::Real(*x),
                    Field::Str(text) => Cell::Text(text.clone()),
                    Field::Bool(is) => Cell::Boolean(*is),
                    other => panic!("{other:?}"),
                };
                assert!(name == "as_of_ms" || found == *cell, "{}.{name}: {found:?}", shape.name);
            }
        }
    }
}

#[test]
fn the_documentation_is_of_the_columns_that_there_are() {
    let shapes = tables::shapes();
    for shape in &shapes {
        let names: std::collections::BTreeSet<_> = shape.columns.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), shape.columns.len(), "{}", shape.name);
        for column in &shape.columns {
            assert!(column.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            assert!(column.doc.ends_with('.') && !column.doc.contains(['|', '\n']), "{}", column.name);
            assert_eq!(column.kind == Kind::Time, column.name.ends_with("_ms") && !column.doc.starts_with("Milli"));
        }
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/export.md");
    let page = fs::read_to_string(file).unwrap();
    let (before, rest) = page.split_once(" a test compares it -->\n").unwrap();
    let (made, after) = rest.split_once("<!-- end -->").unwrap();
    let expected = documentation(&shapes) + "\n";
    if made != expected && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, format!("{before} a test compares it -->\n{expected}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(made, expected, "run this test with UPDATE_DOCS=1 to write it");
}

#[test]
fn a_receipt_is_whole_and_nothing_else_is_left() {
    use crate::model::receipt::verify::Examiner;
    let (dir, state) = state();
    let out = exported(&state, dir.path(), ExportFormat::Receipt, "run.receipt");
    let head = source(&state).ends().unwrap().head;
    let mut examiner = Examiner::new(Some(head));
    for line in fs::read_to_string(&out).unwrap().lines() {
        examiner.line(line.as_bytes(), false).unwrap();
    }
    let found = examiner.finish().unwrap();
    assert_eq!((found.problems.as_slice(), found.ended(), found.cycles), ([].as_slice(), true, 3));
    assert_eq!(to_place(&source(&state), ExportFormat::Receipt, &out, false).unwrap(), EXIT_CONFIG);
    assert_eq!(to_place(&source(&state), ExportFormat::Receipt, &out, true).unwrap(), EXIT_OK);
    assert_eq!(to_place(&source(&state), ExportFormat::Csv, &dir.path().join("a/b"), false).unwrap(), EXIT_UNAVAILABLE);
    assert_eq!(to_stdout(&source(&state), ExportFormat::Parquet).unwrap(), EXIT_CONFIG);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{left:?}");
}

/// Has room for some bytes only.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_of_writing() {
    let (_dir, state) = state();
    for room in [10, 500, 5000] {
        let written =
            text::Json::new(Full(room)).map_err(Failed::from).and_then(|mut json| source(&state).tables(&mut json));
        assert!(matches!(&written, Err(Failed::Write(e)) if e.kind() == io::ErrorKind::StorageFull), "{written:?}");
        let ends = source(&state).ends().unwrap();
        let written = source(&state).receipt(&ends, &mut Full(room.min(500)));
        assert!(matches!(written, Err(Failed::Write(_))));
    }
    let mut kept = Kept::default();
    let lost = write(&mut kept, &tables::RUNS, [Err(anyhow::anyhow!("the daemon is gone"))]);
    assert!(matches!(lost, Err(Failed::Read(_))));
    assert_eq!(Verdict::Pass.exit_code(), EXIT_OK);
}
