use super::super::plant::Planter;
use super::super::testing::{KEY, Replica, TestServer};

#[test]
fn replicas_of_a_user_converge_and_never_see_a_foreign_row() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), true, Planter::default());
    let (one, two) = (server.token("u1", None), server.token("u2", None));
    let a = server.replica(dir.path().join("a.db"), &one);
    let b = server.replica(dir.path().join("b.db"), &one);
    let c = server.replica(dir.path().join("c.db"), &two);
    a.run("INSERT INTO test_sync VALUES ('a1', 'u1', 'w', 1), ('a2', 'u1', 'w', 2), ('a3', 'u1', NULL, NULL)");
    assert_eq!(a.text("SELECT cloudsync_network_has_unsent_changes()"), "Integer(1)");
    let sent = a.send();
    assert_eq!((&sent["send"]["status"], &sent["send"]["rows"]), (&"synced".into(), &3.into()), "{sent}");
    assert_eq!(sent["send"]["seq"], serde_json::json!([1, 3]));
    assert_eq!(a.text("SELECT cloudsync_network_has_unsent_changes()"), "Integer(0)");
    assert_eq!(b.receive()["receive"]["rows"], 3);
    assert_eq!(a.receive()["receive"]["rows"], 0, "own changes do not come back");
    b.run("UPDATE test_sync SET value = 7 WHERE id = 'a1'; DELETE FROM test_sync WHERE id = 'a2'");
    b.send();
    assert_eq!(a.receive()["receive"]["rows"], 2);
    assert_eq!(a.rows(), ["a1=7", "a3=NULL"]);
    assert_eq!(a.rows(), b.rows());
    assert_eq!(c.receive()["receive"]["complete"], true);
    assert_eq!(c.rows(), [""; 0]);
}

#[test]
fn a_local_change_that_waits_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let a = server.replica(dir.path().join("a.db"), KEY);
    let b = server.replica(dir.path().join("b.db"), KEY);
    a.run("INSERT INTO test_sync VALUES ('k', 'u', 'w', 1)");
    a.send();
    b.receive();
    b.run("UPDATE test_sync SET value = 2");
    b.send();
    a.run("UPDATE test_sync SET value = 3");
    a.receive();
    assert_eq!(a.rows(), ["k=3"]);
    a.send();
    b.receive();
    assert_eq!(b.rows(), ["k=3"]);
}

#[test]
fn a_replica_that_is_sent_back_to_the_start_ends_like_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), true, Planter::default());
    let token = server.token("u1", None);
    let a = server.replica(dir.path().join("a.db"), &token);
    let late = server.replica(dir.path().join("late.db"), &token);
    a.run("INSERT INTO test_sync VALUES ('kept', 'u1', 'w', 1), ('gone', 'u1', 'w', 1), ('changed', 'u1', 'w', 1)");
    a.send();
    late.receive();
    late.run(
        "INSERT INTO test_sync VALUES ('pending', 'u1', 'w', 1); UPDATE test_sync SET value = 9 WHERE id = 'kept'",
    );
    a.run("DELETE FROM test_sync WHERE id = 'gone'; UPDATE test_sync SET value = 5 WHERE id = 'changed'");
    a.send();
    // Far more changes than are kept for a replica that stays away.
    let row = "SELECT printf('r%06d', value), 'u1', 'w', 1 FROM generate_series";
    for _ in 0..2 {
        a.run(&format!(
            "WITH RECURSIVE generate_series(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM generate_series \
             WHERE value < 12000) INSERT INTO test_sync {row}"
        ));
        a.send();
        a.run("DELETE FROM test_sync WHERE id LIKE 'r0%'");
        a.send();
    }
    a.receive();
    a.run("INSERT INTO test_sync VALUES ('last', 'u1', 'w', 1)");
    a.send();
    late.receive();
    assert_eq!(
        late.rows(),
        ["changed=5", "kept=9", "last=1", "pending=1"],
        "pending changes stay, deleted rows are gone"
    );
    late.send();
    a.receive();
    assert_eq!(a.rows(), late.rows());
    assert_eq!(server.wait(server.store.digest(None)).unwrap().rows, 4);
}

#[test]
fn a_key_that_changes_is_a_delete_and_an_insert() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let a = server.replica(dir.path().join("a.db"), KEY);
    let b = server.replica(dir.path().join("b.db"), KEY);
    a.run("INSERT INTO test_sync VALUES ('k', 'u', 'w', 1)");
    a.send();
    b.receive();
    a.run("UPDATE test_sync SET id = 'm'");
    a.send();
    b.receive();
    assert_eq!(b.rows(), ["m=1"]);
}

#[test]
fn a_refused_row_is_reported_and_the_rest_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), true, Planter::default());
    let a = server.replica(dir.path().join("a.db"), &server.token("u1", None));
    a.run("INSERT INTO test_sync VALUES ('mine', 'u1', 'w', 1), ('forged', 'u2', 'w', 2)");
    let sent = a.send();
    let refused = &sent["send"]["refused"];
    assert_eq!((&refused[0]["key"], &refused[0]["verb"]), (&"forged".into(), &"insert".into()), "{sent}");
    assert!(sent["send"]["lastFailure"]["message"].as_str().unwrap().contains("forged"));
    assert_eq!(server.wait(server.store.digest(None)).unwrap().rows, 1);
    assert_eq!(a.send()["send"]["rows"], 0);
}

#[test]
fn errors_say_what_failed_and_keep_local_changes() {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::open(dir.path().join("a.db"));
    let send = "SELECT cloudsync_network_send_changes()";
    assert!(a.try_text(send).unwrap_err().to_string().contains("network_init"));
    a.text("SELECT cloudsync_network_init_custom('127.0.0.1:1', 'db')");
    a.run("INSERT INTO test_sync VALUES ('k', 'u1', 'w', 1)");
    let refused = a.try_text(send).unwrap_err().to_string();
    assert!(refused.contains("Failed to connect") && refused.contains("refused"), "{refused}");
    let server = TestServer::start(dir.path(), true, Planter::default());
    a.text(&format!("SELECT cloudsync_network_init_custom('{}', 'db')", server.address));
    for (credential, code) in [
        (None, "token_missing"),
        (Some("1|soakd_x".to_owned()), "token_invalid"),
        (Some(server.token("u1", Some(1))), "token_expired"),
    ] {
        if let Some(credential) = credential {
            a.text(&format!("SELECT cloudsync_network_set_token('{credential}')"));
        }
        let error = a.try_text(send).unwrap_err().to_string();
        let body: serde_json::Value = serde_json::from_str(&error).unwrap();
        assert_eq!(
            (&body["errors"][0]["status"], &body["errors"][0]["code"]),
            (&"401".into(), &code.into()),
            "{error}"
        );
    }
    a.text(&format!("SELECT cloudsync_network_set_token('{}')", server.token("u1", None)));
    assert_eq!(a.send()["send"]["rows"], 1);
}

#[test]
fn a_batch_whose_answer_was_lost_is_not_applied_twice() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let a = server.replica(dir.path().join("a.db"), KEY);
    a.run("INSERT INTO test_sync VALUES ('k', 'u', 'w', 1)");
    a.run("CREATE TABLE kept AS SELECT * FROM soakd_outbox");
    let first = a.send();
    // As it was before the answer came: planned, sent, not acknowledged.
    a.run(
        "DELETE FROM soakd_outbox; INSERT INTO soakd_outbox SELECT * FROM kept; \
         INSERT OR REPLACE INTO soakd_client_state VALUES ('acked', 0), ('batch', 0), ('inflight', 1); \
         UPDATE test_sync SET value = 2",
    );
    let again = a.send();
    assert_eq!(again["send"]["chunks"], 2);
    assert_eq!(again["send"]["seq"], serde_json::json!([first["send"]["seq"][0], 2]));
    let b = server.replica(dir.path().join("b.db"), KEY);
    b.receive();
    assert_eq!(b.rows(), ["k=2"]);
}

#[test]
fn a_later_write_is_received_although_the_answer_to_an_earlier_one_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let (a, b) = (server.replica(dir.path().join("a.db"), KEY), server.replica(dir.path().join("b.db"), KEY));
    a.run("INSERT INTO test_sync VALUES ('k', 'u', 'w', 1); CREATE TABLE kept AS SELECT * FROM soakd_outbox");
    a.send();
    a.run(
        "DELETE FROM soakd_outbox; INSERT INTO soakd_outbox SELECT * FROM kept; \
         INSERT OR REPLACE INTO soakd_client_state VALUES ('acked', 0), ('batch', 0), ('inflight', 1)",
    );
    b.receive();
    b.run("UPDATE test_sync SET value = 5");
    b.send();
    a.receive();
    assert_eq!(a.rows(), ["k=5"]);
    assert_eq!(a.send()["send"]["rows"], 0, "the earlier write is known to have arrived");
}

#[test]
fn a_closed_replica_leaves_no_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let path = dir.path().join("replica-of-descriptors.db");
    for _ in 0..20 {
        let a = server.replica(path.clone(), KEY);
        a.run("INSERT INTO test_sync VALUES (cloudsync_uuid(), 'u', 'w', 1)");
        a.send();
        a.text("SELECT cloudsync_network_cleanup()");
        a.text("SELECT cloudsync_terminate()");
        assert!(a.try_text("SELECT cloudsync_siteid()").is_err());
    }
    let open =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    assert_eq!(open.filter(|target| target.to_string_lossy().contains("replica-of-descriptors")).count(), 0);
}

#[test]
fn received_rows_are_not_sent_back_and_versions_only_grow() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let a = server.replica(dir.path().join("a.db"), KEY);
    let b = server.replica(dir.path().join("b.db"), KEY);
    a.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO test_sync SELECT 'k' || i, 'u', 'w', i FROM n");
    assert_eq!(a.send()["send"]["chunks"], 3);
    assert_eq!(b.receive()["receive"]["rows"], 9000);
    assert_eq!(b.send()["send"]["rows"], 0);
    let before = a.text("SELECT cloudsync_db_version()");
    a.run("DELETE FROM test_sync");
    assert_eq!(
        (before.as_str(), a.text("SELECT cloudsync_db_version()").as_str()),
        ("Integer(9000)", "Integer(18000)")
    );
    a.send();
    assert_eq!(b.receive()["receive"]["rows"], 9000);
    assert_eq!(b.rows(), [""; 0]);
}

/// `cargo test --release -- --ignored --nocapture speed`: microseconds per row, the server's share included.
#[test]
#[ignore = "a measurement, not a test"]
fn speed_of_the_client() {
    const ROWS: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), true, Planter::default());
    let owner = crate::model::ids::user_id(1);
    let token = server.token(&owner, None);
    let a = server.replica(dir.path().join("a.db"), &token);
    let b = server.replica(dir.path().join("b.db"), &token);
    let insert = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) INSERT INTO test_sync SELECT 'db1_r1_' || i, '{owner}', 'w1.1.1', i FROM n"
    );
    for (what, sql) in [
        ("insert", insert.as_str()),
        ("update", "UPDATE test_sync SET value = value + 1, name = 'w1.1.2'"),
        ("delete", "DELETE FROM test_sync"),
    ] {
        let timed = |work: &dyn Fn()| {
            let begin = std::time::Instant::now();
            work();
            begin.elapsed().as_secs_f64() * 1e6 / ROWS as f64
        };
        let (write, send) = (timed(&|| a.run(sql)), timed(&|| drop(a.send())));
        let receive = timed(&|| while b.receive()["receive"]["complete"] != true {});
        println!("{what}: write {write:.2}, send {send:.2}, receive {receive:.2} us/row");
    }
}
