use super::*;

fn from(ddl: &str) -> TableConfig {
    TableConfig { ddl: Some(ddl.into()), ..TableConfig::default() }
}

fn refusals(ddl: &str) -> String {
    let problems = resolve(&from(ddl)).expect_err("a refused table");
    problems.into_iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_said_is_the_seed_table() {
    assert_eq!(resolve(&TableConfig::default()), Ok(TableSpec::seed()));
}

#[test]
fn roles_are_found_by_configured_names() {
    let config = TableConfig {
        owner: Some("tenant".into()),
        stamp: Some("Body".into()),
        counter: Some("version".into()),
        ..from(
            "CREATE TABLE \"my notes\" (body VARCHAR(80), version BIGINT, ratio DOUBLE, id TEXT PRIMARY KEY, tenant TEXT);\n",
        )
    };
    let table = resolve(&config).expect("a good table");
    assert_eq!((table.key, table.owner, table.stamp, table.counter), (3, 4, 0, 1));
    assert_eq!(table.name, "my notes");
    assert_eq!(table.columns[2].kind, ColumnKind::Real);
    assert!(table.ddl.ends_with(')'));
}

#[test]
fn what_cloudsync_refuses_is_refused_with_the_reason() {
    let rest = "user_id TEXT, name TEXT, value INTEGER";
    let cases = [
        (format!("CREATE TABLE t (id TEXT, {rest})"), "no primary key"),
        (format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {rest})"), "single INTEGER column"),
        (
            format!("CREATE TABLE t (id TEXT PRIMARY KEY, extra TEXT NOT NULL, {rest})"),
            "extra is NOT NULL without a DEFAULT",
        ),
        (format!("CREATE TABLE t (id BLOB PRIMARY KEY, {rest})"), "no text column"),
        (format!("CREATE TABLE t (id TEXT, b TEXT, {rest}, PRIMARY KEY (id, b))"), "has 2 columns"),
        (format!("CREATE TABLE t (id TEXT PRIMARY KEY, g AS (value + 1), {rest})"), "generated"),
        (format!("CREATE TABLE t (id TEXT PRIMARY KEY, soakd_x TEXT, {rest})"), "keeps for itself"),
        (format!("CREATE TABLE CloudSync_t (id TEXT PRIMARY KEY, {rest})"), "keeps for itself"),
        (format!("CREATE TABLE {} (id TEXT PRIMARY KEY, {rest})", "t".repeat(64)), "64 bytes"),
        (format!("CREATE TABLE t (id TEXT PRIMARY KEY, u TEXT UNIQUE, {rest})"), "UNIQUE"),
        (format!("CREATE TABLE t (id TEXT PRIMARY KEY, r TEXT REFERENCES o(id), {rest})"), "refers to another table"),
    ];
    for (ddl, reason) in cases {
        let said = refusals(&ddl);
        assert!(said.contains(reason), "{ddl}: {said}");
    }
}

#[test]
fn nothing_but_one_table_is_created() {
    let good = "CREATE TABLE t (id TEXT PRIMARY KEY, user_id TEXT, name TEXT, value INTEGER)";
    for bad in [
        String::new(),
        "-- nothing".into(),
        "SELECT 1".into(),
        "PRAGMA journal_mode = off".into(),
        "ATTACH 'x.db' AS x".into(),
        "VACUUM".into(),
        "CREATE TEMP TABLE t (id TEXT PRIMARY KEY)".into(),
        "CREATE VIEW v AS SELECT 1".into(),
        "CREATE VIRTUAL TABLE t USING fts5(a)".into(),
        "CREATE TABLE t AS SELECT 'a' AS id".into(),
        "CREATE TABLE t (id TEXT PRIMARY KEY,".into(),
        "'); DROP TABLE x; --".into(),
        format!("{good}; {}", good.replace("TABLE t", "TABLE u")),
        format!("{good}; CREATE INDEX i ON t (name)"),
        format!("{good}; DROP TABLE t"),
        format!("{good}; INSERT INTO t VALUES ('a', 'b', 'c', 1)"),
        format!("{good}; SELECT 1"),
    ] {
        let problems = resolve(&from(&bad)).expect_err(&bad);
        assert!(problems.iter().all(|p| p.key == "ddl"), "{bad}: {problems:?}");
    }
    assert!(!std::path::Path::new("x.db").exists());
}

#[test]
fn a_missing_or_unfit_part_lists_the_columns_that_fit() {
    let ddl = "CREATE TABLE t (id TEXT PRIMARY KEY, user_id TEXT, title TEXT, name INTEGER, value TEXT)";
    let problems = resolve(&from(ddl)).expect_err("a refused table");
    let said: Vec<String> = problems.iter().map(|p| format!("{}: {}; {}", p.key, p.message, p.allowed)).collect();
    assert_eq!(
        said,
        [
            "stamp: the column name is declared INTEGER, and a text column is due; a text column outside the key: user_id, title, value",
            "counter: the column value is declared TEXT, and an integer column is due; an integer column outside the key: name",
        ]
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(CREATE TABLE )?[ -~\\n]{0,80}") {
        let _ = resolve(&from(&text));
    }
}
