//! Which start takes up the unfinished run.

use super::*;
use crate::config::{Argument, Config, PostgresConfig, SecretRef, TargetConfig};
use crate::engine::event::{Beat, OwnFindings};

/// Returns the set-up of a bank on the PostgreSQL of this address.
fn at(url: &str) -> Setup {
    let loaded = Config::parse("[workload.bank]\n", "/c.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let mut config = loaded.config;
    let url = SecretRef::Argument(Argument::new("--url", url));
    config.target = TargetConfig::Postgres(PostgresConfig { url, isolation: Default::default() });
    Setup {
        config,
        table: loaded.table,
        program: "soakd".into(),
        plants: Vec::new(),
        testing: false,
        clock: crate::clock::Clock::default(),
        beat: Beat::default(),
        own: OwnFindings::default(),
    }
}

#[test]
fn a_run_does_not_go_on_in_another_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut open = |url: &str| open_run(&at(url), &mut store, None, false);
    let (begun, resumed) = open("postgres://me:secret@127.0.0.1:5433/b").unwrap();
    assert!(!resumed && !format!("{:?}", begun.config).contains("secret"), "{:?}", begun.config);
    let (again, resumed) = open("postgres://me:changed@127.0.0.1:5433/b?connect_timeout=9").unwrap();
    assert!(resumed && again.run == begun.run, "a changed password is no other database");
    for other in ["postgres://me:secret@127.0.0.1:5433/c", "postgres://me:secret@127.0.0.1/b"] {
        let error = open(other).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error.downcast_ref(), Some(StartError::Changed { keys, .. }) if keys.len() == 1), "{said}");
        assert!(
            said.contains("was postgres://127.0.0.1:5433/b, is now postgres://127.0.0.1:") && !said.contains("me:")
        );
    }
}
