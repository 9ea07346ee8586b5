use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use super::*;

type NoTerminal = Terminal<Cursor<Vec<u8>>, Vec<u8>>;

fn service(output: PathBuf) -> InitArgs {
    InitArgs {
        connection: Some("sqlitecloud://xyz.sqlite.cloud:8860/my_db?apikey=HUNTER2".into()),
        database_id: Some("db_1".into()),
        extension: Some("/lib/cloudsync.so".into()),
        output,
        yes: true,
        ..InitArgs::default()
    }
}

#[test]
fn flags_become_a_configuration_without_the_key_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = service(dir.path().join("soakd.toml"));
    assert_eq!(run(args.clone()).expect("an exit code"), EXIT_OK);
    let text = std::fs::read_to_string(&args.output).expect("the configuration");
    assert!(!text.contains("HUNTER2"));
    let key = dir.path().join("soakd-api-key");
    assert_eq!(std::fs::read_to_string(&key).expect("the key"), "HUNTER2\n");
    assert_eq!(std::fs::metadata(&key).expect("the key").permissions().mode() & 0o777, 0o600);
    let loaded = Config::load(&args.output).expect("a good configuration");
    let TargetConfig::Cloudsync(service) = loaded.config.target else { panic!("not the service") };
    assert_eq!(service.gateway.as_deref(), Some("https://xyz.sqlite.cloud"));
    assert_eq!(service.database.as_deref(), Some("my_db"));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 2);
}

#[test]
fn nothing_is_overwritten_without_force() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut args = InitArgs { embedded: true, output: dir.path().join("soakd.toml"), ..InitArgs::default() };
    std::fs::write(&args.output, "precious").expect("a file");
    assert_eq!(run(args.clone()).expect("an exit code"), EXIT_CONFIG);
    assert_eq!(std::fs::read_to_string(&args.output).expect("a text"), "precious");
    args.force = true;
    assert_eq!(run(args.clone()).expect("an exit code"), EXIT_OK);
    assert_eq!(Config::load(&args.output).expect("a good configuration").config, Config::default());
}

#[test]
fn a_configuration_that_would_not_load_is_not_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut args = service(dir.path().join("soakd.toml"));
    args.address = Some("ftp://nowhere".into());
    assert_eq!(run(args).expect("an exit code"), EXIT_CONFIG);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
}

#[test]
fn what_is_missing_is_named_by_its_flag() {
    let error = questions::gather(&InitArgs::default(), None::<&mut NoTerminal>).expect_err("answers are missing");
    let said = error.to_string();
    for flag in ["--connection", "--database-id", "--extension"] {
        assert!(said.contains(flag), "{said}");
    }
    assert!(!said.contains("--scale"), "{said}");
}

#[test]
fn a_person_is_asked_once_for_each_thing() {
    let typed = "\nsqlitecloud://h/db?apikey=k\ndb_1\nx.so\nmedium\nno\n\n";
    let mut terminal = Terminal::new(Cursor::new(typed.as_bytes().to_vec()), Vec::new());
    let answers = questions::gather(&InitArgs::default(), Some(&mut terminal)).expect("answers");
    assert_eq!(answers.address, "https://cloudsync.sqlite.ai");
    assert_eq!((answers.scale.as_str(), answers.rls), ("medium", false));
    assert_eq!((answers.ddl, answers.ddl_file), (None, None));
    assert!(answers.extension.is_absolute());
}

/// Serves a stand-in for the SQL gateway that refuses statements with a word in them, and keeps what it was sent.
fn gateway(refused: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let answer = move |axum::Json(body): axum::Json<serde_json::Value>| {
        let sql = body["sql"].as_str().unwrap_or_default().to_owned();
        let failed = sql.contains(refused);
        kept.lock().expect("a lock").push(sql);
        async move {
            axum::Json(if failed {
                serde_json::json!({"error": "no such thing"})
            } else {
                serde_json::json!({"data": []})
            })
        }
    };
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("a listener for the address");
            let app = axum::Router::new().route("/v2/weblite/sql", axum::routing::post(answer));
            let _ = axum::serve(listener, app).await;
        });
    });
    (format!("http://{}", told.recv().expect("an address")), seen)
}

#[test]
fn apply_runs_every_statement_and_stops_at_the_first_refusal() {
    // Fails only if another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (refused, code, count) in [("no statement holds this", EXIT_OK, 9), ("cloudsync_init", EXIT_FAIL, 4)] {
        let dir = tempfile::tempdir().expect("a directory");
        let (address, seen) = gateway(refused);
        let mut args = service(dir.path().join("soakd.toml"));
        args.gateway = Some(address);
        args.apply = true;
        assert_eq!(run(args).expect("an exit code"), code);
        assert_eq!(seen.lock().expect("a lock").len(), count);
    }
}

#[test]
fn the_arguments_hold_together_and_never_show_the_key() {
    use clap::{Args, Command};
    InitArgs::augment_args(Command::new("init")).debug_assert();
    crate::cli::check::CheckArgs::augment_args(Command::new("check")).debug_assert();
    assert!(!format!("{:?}", service("x.toml".into())).contains("HUNTER2"));
}
