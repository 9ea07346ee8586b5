//! Values of types that nobody here writes: each is a wrong value of its row, and keeps no check from its work.

use super::*;

async fn loaded() -> Rig {
    let rig = Parts::default().rig();
    assert_eq!(rig.load(12).await, Vec::<String>::new());
    rig
}

/// Returns the lines of a check that must fail.
fn failed<'a>(checks: &'a [CheckResult], name: &str) -> &'a [String] {
    let check = checks.iter().find(|check| check.check == name).unwrap();
    assert_eq!(check.verdict, Some(Verdict::Fail), "{}", shown(checks));
    &check.evidence
}

/// Says that a check names a row and what is wrong of it.
fn names(checks: &[CheckResult], check: &str, row: &str, what: &str) {
    let lines = failed(checks, check);
    assert!(lines.iter().any(|line| line.starts_with(row) && line.contains(what)), "{row}: {what}: {lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_odd_value_hides_nothing_else() {
    let rig = loaded().await;
    let transfer = rig.ask("SELECT max(id) FROM transfers");
    let first = rig.ask("SELECT min(id) FROM accounts");
    let last = |n: i64| rig.ask(&format!("SELECT id FROM accounts ORDER BY id DESC LIMIT 1 OFFSET {n}"));
    let lowest = last(2);
    let gone: Vec<String> = (0..3).map(|n| rig.name(last(n))).collect();
    rig.other(&format!(
        "UPDATE transfers SET ref_id = x'00ff' WHERE id = {transfer};
         UPDATE accounts SET balance = balance + 1000000 WHERE id = {first};
         PRAGMA foreign_keys = OFF;
         DELETE FROM accounts WHERE id >= {lowest};"
    ));
    let checks = rig.verified().await;
    names(&checks, "bank.transfers", &format!("transfer {transfer} of "), "ref_id is a blob of 2 bytes: 00ff, no UUID");
    names(&checks, "bank.balances", &format!("account {first} "), "is 1000000 too much");
    for name in gone {
        names(&checks, "bank.accounts", &format!("account {name} of "), "is lost");
    }
    failed(&checks, "bank.money");
    assert!(checks.iter().all(|check| check.verdict != Some(Verdict::Inconclusive)), "{}", shown(&checks));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_odd_value_of_a_transfer_names_its_row() {
    for (fault, what) in [
        ("ref_id = x'01'", "ref_id is a blob of 1 byte: 01, no UUID"),
        ("created_at = CAST(x'ff41' AS TEXT)", "created_at is text that is not UTF-8 of 2 bytes: ff41, no moment"),
        ("created_at = x''", "created_at is a blob of 0 bytes, no moment"),
        ("amount = x'31'", "amount is a blob of 1 byte: 31, no whole number"),
    ] {
        let rig = loaded().await;
        let transfer = rig.ask("SELECT max(id) FROM transfers");
        rig.other(&format!("UPDATE transfers SET {fault} WHERE id = {transfer}"));
        let checks = rig.verified().await;
        only(&checks, &["bank.transfers"]);
        names(&checks, "bank.transfers", &format!("transfer {transfer} of "), what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_odd_value_of_an_account_names_its_row() {
    for (fault, what, also) in [
        ("name = CAST(name AS BLOB)", "name is a blob of ", ["bank.accounts"].as_slice()),
        ("balance = x'05'", "balance is a blob of 1 byte: 05, no whole number", &["bank.balances", "bank.money"]),
        ("balance = 0.5", "balance is 0.5, no whole number", &["bank.balances", "bank.money"]),
        ("risk_score = x'61'", "risk_score is a blob of 1 byte: 61, not ", &[]),
        ("created_at = CAST(x'ff' AS TEXT)", "created_at is text that is not UTF-8 of 1 byte: ff, not ", &[]),
    ] {
        let rig = loaded().await;
        let id = rig.ask("SELECT max(id) FROM accounts");
        let name = rig.name(id);
        rig.other(&format!("UPDATE accounts SET {fault} WHERE id = {id}"));
        let checks = rig.verified().await;
        names(&checks, "bank.names", &format!("account {id} "), what);
        for check in also {
            failed(&checks, check);
        }
        if fault.starts_with("name") {
            names(&checks, "bank.accounts", &format!("account {name} of "), "is lost");
        }
        let orphans = checks.iter().find(|check| check.check == "bank.orphans").unwrap();
        assert_eq!(orphans.verdict, Some(Verdict::Pass), "{}", shown(&checks));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_odd_id_names_its_row() {
    let rig = loaded().await;
    let id = rig.ask("SELECT max(id) FROM accounts");
    let name = rig.name(id);
    // As long as it is the key of the table, SQLite takes nothing else there.
    rig.other(&format!(
        "PRAGMA foreign_keys = OFF;
         CREATE TABLE odd AS SELECT * FROM accounts;
         UPDATE odd SET id = x'07' WHERE id = {id};
         DROP TABLE accounts;
         ALTER TABLE odd RENAME TO accounts;"
    ));
    let checks = rig.verified().await;
    names(&checks, "bank.names", &format!("account 0 {name} of "), "id is a blob of 1 byte: 07, no whole number");
    let accounts = checks.iter().find(|check| check.check == "bank.accounts").unwrap();
    assert_eq!(accounts.verdict, Some(Verdict::Pass), "{}", shown(&checks));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_tell_of_odd_values_and_work_on() {
    let rig = loaded().await;
    rig.other("UPDATE accounts SET ref_id = x'01'");
    assert_eq!(rig.more(6).await, Vec::<String>::new());
    let checks = rig.verified().await;
    let lines = failed(&checks, "bank.reads");
    assert!(lines.iter().any(|line| line.contains("ref_id is a blob of 1 byte: 01, not ")), "{lines:?}");
    failed(&checks, "bank.names");
}
