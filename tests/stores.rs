//! The same soak on the PostgreSQL store: it passes in every mode, planted bugs are found, and reports can be read again.

#![allow(clippy::unwrap_used)]

#[path = "../src/target/cluster.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod cluster;
#[path = "support/soak.rs"]
mod soak;

use std::sync::LazyLock;

use cluster::Cluster;
use soak::{Ended, Soak};

/// Returns a soak on an empty database of its own.
fn on_postgres(cluster: &Cluster, database: &str) -> Soak {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
    let more = "[target.embedded]\nstore = { postgres = { env = \"SOAKD_TEST_POSTGRES\" } }\n".to_owned();
    let env = vec![("SOAKD_TEST_POSTGRES".to_owned(), cluster.url(database))];
    Soak { more, env, ..Soak::default() }
}

fn failed_by(ended: &Ended, check: &str) {
    ended.assert_code(1);
    assert!(ended.checks(1, "fail").contains(check), "{}", ended.story());
}

/// One test, so that one cluster serves all of it and ends with it.
#[test]
fn the_postgresql_store_holds_what_the_sqlite_store_holds() {
    let cluster = Cluster::start();
    for (mode, pace, rls) in [
        ("classic", "concurrent", true),
        ("classic", "lockstep", false),
        ("incremental", "concurrent", true),
        ("contended", "concurrent", true),
        ("contended", "lockstep", false),
    ] {
        let soak = on_postgres(&cluster, &format!("{mode}_{pace}"));
        let ended = Soak { mode, pace, rls, cycles: 2, ..soak }.run();
        ended.assert_passed(if rls { &[] } else { &["isolation.matrix"] });
    }
    bugs_are_found(&cluster);
    reports_can_be_read_again(&cluster);
    a_second_run_starts_empty(&cluster);
}

fn bugs_are_found(cluster: &Cluster) {
    for (bug, check, told) in [
        ("drop-change", "convergence.user1", "lost: db1_r3_3 in the server"),
        ("stale-row", "convergence.user1", "stale: db1_r3_3 in the reader of user 1"),
        ("resurrect-row", "convergence.user1", "resurrected: db1_r1_3 in DB"),
        ("duplicate-row", "convergence.user1", "duplicated: db1_r3_900003 in "),
        ("leak-foreign-row", "convergence.user2", "foreign: db1_r3_3 in DB"),
        ("forged-delete", "isolation.matrix", "delete: user 1 on row probe_2_1_delete of user 2: ACCEPTED"),
        ("forged-owner", "isolation.matrix", "update (owner change: give): user 1 on row probe_2_1_give of user 2"),
        ("revoked-token", "isolation.credentials", "revoked token: ACCEPTED"),
        ("ack-before-commit", "health.errors", "the embedded target ended by signal 6 (SIGABRT)"),
    ] {
        let soak = on_postgres(cluster, &format!("plant_{}", bug.replace('-', "_")));
        let ended = Soak { plants: vec![bug], ..soak }.run();
        failed_by(&ended, check);
        let evidence = ended.evidence(1, check);
        assert!(evidence.iter().any(|line| line.starts_with(told)), "{told}: {evidence:#?}\n{}", ended.story());
    }
}

fn reports_can_be_read_again(cluster: &Cluster) {
    let ended = on_postgres(cluster, "report").run();
    ended.assert_passed(&[]);
    for (format, told) in [("text", "PASS"), ("json", "\"pass\""), ("markdown", "PASS")] {
        let args = ["report", "-c", &ended.config(), "--format", format].map(str::to_owned);
        let (code, out, err) = soak::soakd(&args, &[]);
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains(told), "{out}");
        assert!(!out.contains("postgres://") && !err.contains("postgres://"), "the address is a secret: {out}");
    }
}

/// What an earlier run left in the database is not the next one's.
fn a_second_run_starts_empty(cluster: &Cluster) {
    // In this mode nothing deletes what is there at the start.
    let soak = Soak { mode: "incremental", ..on_postgres(cluster, "twice") };
    soak.run().assert_passed(&[]);
    let again = Soak { seed: 8, ..soak };
    again.run().assert_passed(&[]);
}

#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    static PORT: LazyLock<u16> =
        LazyLock::new(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let more = "[target.embedded]\nstore = { postgres = { env = \"SOAKD_TEST_POSTGRES\" } }\n".to_owned();
    let unset = Soak { more: more.clone(), ..Soak::default() }.run();
    assert_ne!(unset.code, Some(0));
    assert!(unset.err.contains("environment variable SOAKD_TEST_POSTGRES is not set"), "{}", unset.story());
    let url = format!("postgres://me:hidden-word@127.0.0.1:{}/db", *PORT);
    let down = Soak { more, env: vec![("SOAKD_TEST_POSTGRES".into(), url)], ..Soak::default() }.run();
    assert_eq!(down.code, Some(70), "{}", down.story());
    assert!(down.err.contains(&format!("127.0.0.1:{}", *PORT)) && down.err.contains("refused"), "{}", down.story());
    assert!(!down.err.contains("hidden-word") && !down.out.contains("hidden-word"), "{}", down.story());
}
