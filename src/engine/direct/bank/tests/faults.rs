//! Cycles in which something is wrong: a second process, or a database that lies.

use super::*;

async fn loaded() -> Rig {
    let rig = Parts::default().rig();
    assert_eq!(rig.load(12).await, Vec::<String>::new());
    rig
}

/// An account that has taken part in a transfer whose other side is there too.
fn moved(rig: &Rig) -> (i64, i64) {
    (rig.ask("SELECT max(id) FROM transfers"), rig.ask("SELECT to_account FROM transfers ORDER BY id DESC LIMIT 1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_foreign_keys_orphans_are_found() {
    let rig = Parts { foreign_keys: false, ..Parts::default() }.rig();
    rig.in_turn(20).await;
    let orphans = rig.ask(
        "SELECT count(*) FROM transfers WHERE from_account NOT IN (SELECT id FROM accounts) OR to_account NOT IN (SELECT id FROM accounts)",
    );
    let checks = rig.verified().await;
    let evidence = only(&checks, &["bank.orphans"]);
    assert!(orphans > 0 && evidence[0].contains(" exist") && evidence[0].contains(", by transferrer "), "{evidence:?}");
    let check = checks.iter().find(|check| check.check == "bank.orphans").unwrap();
    assert_eq!(check.evidence_total, orphans as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_update_and_a_double_credit_are_found() {
    for (by, off) in [("- 5", "5 too little"), ("+ 5", "5 too much")] {
        let rig = loaded().await;
        let (_, account) = moved(&rig);
        rig.other(&format!("UPDATE accounts SET balance = balance {by} WHERE id = {account}"));
        let checks = rig.verified().await;
        let evidence = only(&checks, &["bank.balances", "bank.money"]);
        let name = rig.name(account);
        assert!(
            evidence.len() == 1 && evidence[0].starts_with(&format!("account {account} {name} of ")),
            "{evidence:?}"
        );
        assert!(evidence[0].contains(off), "{evidence:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_phantom_account_is_found() {
    let rig = loaded().await;
    rig.other(
        "INSERT INTO accounts (name, balance, ref_id, interest_rate, risk_score, created_at)
         VALUES ('Phantom', 0, '', 1.0, '', '')",
    );
    let id = rig.ask("SELECT max(id) FROM accounts");
    let checks = rig.verified().await;
    let evidence = only(&checks, &["bank.accounts", "bank.names"]);
    assert_eq!(evidence, [format!("account {id} \"Phantom\" with balance 0")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_with_negative_ids_are_found_too() {
    let rig = loaded().await;
    rig.other(
        "INSERT INTO accounts (id, name, balance, ref_id, interest_rate, risk_score, created_at)
         VALUES (-7, 'Phantom', 1000000, '', 1.0, '', '');
         INSERT INTO transfers (id, from_account, to_account, amount, ref_id, created_at)
         VALUES (-8, -7, -7, 5, 'x', '');
         PRAGMA foreign_keys = OFF;
         INSERT INTO transfers (id, from_account, to_account, amount, ref_id, created_at)
         VALUES (-9, -70, -71, 5, 'x', '')",
    );
    let checks = rig.verified().await;
    let failed = ["bank.accounts", "bank.names", "bank.money", "bank.transfers", "bank.orphans"];
    assert_eq!(only(&checks, &failed), ["account -7 \"Phantom\" with balance 1000000"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn half_a_batch_that_is_lost_is_found() {
    let rig = loaded().await;
    // A whole batch whose rows nobody has touched, of an inserter that worked on alone.
    rig.hands()[0].turn(Instant::now() + rig.ground.limit).await;
    let identity = Identity::new(SEED);
    let connection = rusqlite::Connection::open(rig.path()).unwrap();
    let mut statement = connection
        .prepare("SELECT name FROM accounts WHERE id NOT IN (SELECT from_account FROM transfers UNION SELECT to_account FROM transfers)")
        .unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let mut batches = std::collections::BTreeMap::<Key, Vec<String>>::new();
    for name in names {
        batches.entry(identity.read(&name).unwrap().operation()).or_default().push(name);
    }
    let (batch, names) = batches.into_iter().find(|(key, names)| key.worker > 0 && names.len() == 20).unwrap();
    let half: Vec<String> = names[..10].iter().map(|name| format!("'{name}'")).collect();
    rig.other(&format!("DELETE FROM accounts WHERE name IN ({})", half.join(",")));
    let checks = rig.verified().await;
    let evidence = only(&checks, &["bank.batches", "bank.accounts", "bank.money"]);
    let start = format!("batch of inserter {}, operation {}: 10 of 20 rows are missing: acct_", batch.worker, batch.no);
    assert!(evidence.len() == 1 && evidence[0].starts_with(&start), "{evidence:?}");
    assert!(names[..10].iter().all(|name| evidence[0].contains(name)), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn altered_lost_and_made_up_transfers_are_found() {
    for (fault, what) in [
        ("UPDATE transfers SET amount = amount + 1 WHERE id = ?", "it is not as it was written"),
        ("UPDATE transfers SET created_at = '2020-01-01T00:00:00.000000Z' WHERE id = ?", "it is not as it was written"),
        ("DELETE FROM transfers WHERE id = ?", "was acknowledged and is not there"),
        (
            "INSERT INTO transfers (from_account, to_account, amount, ref_id, created_at)
             SELECT from_account, to_account, amount, ref_id, created_at FROM transfers WHERE id = ?",
            "is there once too often",
        ),
        (
            "INSERT INTO transfers (from_account, to_account, amount, ref_id, created_at)
             SELECT from_account, to_account, 1, '018ecfc2-b2b1-8cc3-a9f0-000000000001', created_at FROM transfers WHERE id = ?",
            "no operation of this run wrote it",
        ),
    ] {
        let rig = loaded().await;
        let (transfer, account) = moved(&rig);
        let name = rig.name(account);
        rig.other(&fault.replace('?', &transfer.to_string()));
        let checks = rig.verified().await;
        let evidence = only(&checks, &["bank.transfers"]);
        assert!(evidence.len() == 1 && evidence[0].contains(what), "{what}: {evidence:?}");
        assert!(evidence[0].contains(&name) || evidence[0].contains(&format!("to account {account}")), "{evidence:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn altered_values_and_negative_balances_are_found() {
    let rig = loaded().await;
    let id = rig.ask("SELECT max(id) FROM accounts");
    rig.other(&format!("UPDATE accounts SET interest_rate = 99.5 WHERE id = {id}"));
    let checks = rig.verified().await;
    let evidence = only(&checks, &["bank.names"]);
    assert!(
        evidence[0].contains(&format!("account {id} ")) && evidence[0].contains("interest_rate is 99.5, not "),
        "{evidence:?}"
    );

    let rig = loaded().await;
    let id = rig.ask("SELECT max(id) FROM accounts");
    rig.other(&format!("UPDATE accounts SET balance = -3 WHERE id = {id}"));
    let checks = rig.verified().await;
    let evidence = only(&checks, &["bank.funds", "bank.money", "bank.balances"]);
    assert!(
        evidence[0].contains(&format!("account {id} ")) && evidence[0].contains("balance -3 is below zero"),
        "{evidence:?}"
    );
}

async fn planted(plant: Plant) -> Vec<CheckResult> {
    // Nobody deletes, so that what is wrong stays there.
    let workers = BankWorkers { deleter: 0, ..BankWorkers::each(2) };
    let rig = Parts { plants: vec![plant], workers, ..Parts::default() }.rig();
    assert_eq!(rig.load(30).await, Vec::<String>::new());
    rig.verified().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_loses_or_repeats_updates_is_found() {
    let part = || "SET balance = balance +".to_owned();
    for plant in [Plant::Undo { part: part(), nth: 9, times: 1 }, Plant::Twice { part: part(), nth: 9, times: 1 }] {
        let checks = planted(plant).await;
        let evidence = only(&checks, &["bank.balances", "bank.money"]);
        // The row as it is, and the transaction that read it back.
        assert!(evidence.len() == 2 && evidence[0].starts_with("account "), "{evidence:?}");
        assert!(evidence[1].starts_with("wrong balance in its own transaction: transferrer "), "{evidence:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_loses_rows_is_found() {
    let checks = planted(Plant::Undo { part: "INSERT INTO accounts".into(), nth: 131, times: 10 }).await;
    // What is taken back gives its id back too.
    let evidence = only(&checks, &["bank.batches", "bank.accounts", "bank.money", "bank.ids"]);
    assert!(
        evidence
            .iter()
            .all(|line| line.starts_with("batch of inserter ") && line.contains(" of 20 rows are missing: ")),
        "{evidence:?}"
    );

    let checks = planted(Plant::Undo { part: "INSERT INTO transfers".into(), nth: 9, times: 1 }).await;
    assert!(only(&checks, &["bank.transfers"])[0].contains("was acknowledged and is not there"));

    let checks = planted(Plant::Twice { part: "INSERT INTO transfers".into(), nth: 9, times: 1 }).await;
    assert!(only(&checks, &["bank.transfers"])[0].contains("is there once too often"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_that_is_read_twice_is_found() {
    for part in ["ORDER BY name LIMIT", "FROM accounts ORDER BY name"] {
        let checks = planted(Plant::Extra { part: part.into(), nth: 1, times: u64::MAX }).await;
        let evidence = only(&checks, &["bank.reads"]);
        assert!(evidence.iter().any(|line| line.starts_with("phantom read: reader ")), "{evidence:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deletion_that_does_not_happen_is_found() {
    let plants = vec![Plant::Undo { part: "DELETE FROM accounts".into(), nth: 5, times: 1 }];
    let workers = BankWorkers { transferrer: 0, ..BankWorkers::each(1) };
    let rig = Parts { plants, workers, accounts: 300, ..Parts::default() }.rig();
    assert_eq!(rig.load(10).await, Vec::<String>::new());
    let checks = rig.bank.verify(&rig.ground).await.unwrap().checks;
    let accounts = checks.iter().find(|check| check.check == "bank.accounts").unwrap();
    assert!(accounts.evidence[0].contains("is there, but was deleted or never acknowledged"), "{}", shown(&checks));
}
