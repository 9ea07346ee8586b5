use super::*;
use crate::model::verdict::{CheckResult, Verdict};

fn told(key: u64) -> String {
    format!("operation {key}")
}

fn row(id: i64, balance: i64, expected: Expected) -> AccountRow<'static> {
    AccountRow { id, name: "acct_x", balance, author: Some(Author { key: 9, expected }), wrong: Vec::new() }
}

fn expected(initial: i64, net: i64) -> Expected {
    Expected { initial, net, doubtful: false }
}

fn transfer(seal: Seal) -> TransferRow {
    TransferRow { id: 4, from: 1, to: 2, amount: 30, from_exists: true, to_exists: true, seal, wrong: Vec::new() }
}

/// Two accounts and a transfer between them, as they must be.
fn sound() -> Evidence {
    let mut accounts = AccountsAudit::new(told);
    accounts.row(&row(1, 70, expected(100, -30)));
    accounts.row(&row(2, 130, expected(100, 30)));
    let mut transfers = TransfersAudit::new(told);
    transfers.row(&transfer(Seal::Intact(5)));
    let books = Books { inserts: 1, transfers: 1, looks: 1, inserted: 2, initial: 200, ..Books::default() };
    let difference = Difference { complete: true, expected: 2, ..Difference::default() };
    let unsettled = Unsettled::default();
    Evidence { books, accounts, transfers, difference, gaps: Vec::new(), twice: Vec::new(), unsettled }
}

fn of<'a>(checks: &'a [CheckResult], name: &str) -> &'a CheckResult {
    checks.iter().find(|check| check.check == name).unwrap()
}

/// Says that exactly these checks have this verdict and all others pass; returns the evidence of the first.
fn only(evidence: &Evidence, verdict: Verdict, names: &[&str]) -> Vec<String> {
    let checks = judge(evidence);
    for check in &checks {
        let wanted = if names.contains(&check.check.as_str()) { verdict } else { Verdict::Pass };
        assert_eq!(check.verdict, Some(wanted), "{check:?}");
        assert!(check.summary.ends_with('.'), "{check:?}");
    }
    of(&checks, names.first().copied().unwrap_or("bank.money")).evidence.clone()
}

fn side(operation: u64, index: u32, of: u32) -> Side {
    Side { operation, index, of, name: format!("acct_{operation}_{index}"), id: None, doubtful: false }
}

#[test]
fn what_is_as_it_must_be_passes() {
    assert!(only(&sound(), Verdict::Pass, &[]).is_empty());
}

#[test]
fn nothing_looked_at_proves_nothing() {
    let nothing = Evidence {
        books: Books::default(),
        accounts: AccountsAudit::new(told),
        transfers: TransfersAudit::new(told),
        difference: Difference { complete: true, ..Difference::default() },
        ..sound()
    };
    assert!(judge(&nothing).iter().all(|check| check.verdict == Some(Verdict::Inconclusive)));
}

#[test]
fn money_and_balances() {
    let mut evidence = sound();
    evidence.accounts.row(&row(3, 95, expected(100, 0)));
    evidence.books.initial += 100;
    let lines = only(&evidence, Verdict::Fail, &["bank.money", "bank.balances"]);
    assert_eq!(
        lines,
        ["all accounts together hold 295, 5 too little: 300 as they were made less 0 of deleted ones is 300"]
    );
    let checks = judge(&evidence);
    assert_eq!(
        of(&checks, "bank.balances").evidence,
        [
            "account 3 acct_x of operation 9: balance 95 is 5 too little; it began with 100 and received 0 more than it sent"
        ]
    );
}

#[test]
fn what_is_unknown_is_no_failure_and_no_pass() {
    let mut evidence = sound();
    evidence.accounts.row(&row(3, 95, Expected { doubtful: true, ..expected(100, 0) }));
    evidence.books.initial += 100;
    evidence.unsettled.open.add(|| "transferrer 1, operation 4".into());
    evidence.difference.missing.push(Side { doubtful: true, ..side(9, 1, 20) });
    let gap = PairGap { from: "a".into(), to: "b".into(), count: 1, amount: 5, keys: 4, doubtful: true };
    evidence.gaps.push(gap);
    let names = ["bank.journal", "bank.money", "bank.balances", "bank.accounts", "bank.transfers"];
    assert_eq!(only(&evidence, Verdict::Inconclusive, &names), ["transferrer 1, operation 4"]);
    // Another row that is certainly wrong is a failure all the same.
    evidence.accounts.row(&row(4, 90, expected(100, 0)));
    assert_eq!(of(&judge(&evidence), "bank.balances").verdict, Some(Verdict::Fail));

    let mut evidence = sound();
    evidence.unsettled.dropped = 3;
    let names = ["bank.journal", "bank.money", "bank.balances", "bank.accounts", "bank.transfers", "bank.batches"];
    only(&evidence, Verdict::Inconclusive, &names);

    let mut evidence = sound();
    evidence.books.overflow = true;
    only(&evidence, Verdict::Inconclusive, &["bank.balances", "bank.transfers", "bank.journal"]);

    let mut evidence = sound();
    evidence.books.unknown = 1;
    only(&evidence, Verdict::Inconclusive, &["bank.money"]);
}

#[test]
fn lost_and_phantom_accounts_and_broken_batches() {
    let mut evidence = sound();
    evidence.difference.missing = (0..10).map(|index| side(17, index, 20)).collect();
    let lines = only(&evidence, Verdict::Fail, &["bank.batches", "bank.accounts"]);
    assert!(
        lines.len() == 1 && lines[0].starts_with("batch of operation 17: 10 of 20 rows are missing: acct_17_0, "),
        "{lines:?}"
    );
    let checks = judge(&evidence);
    assert_eq!(of(&checks, "bank.accounts").evidence[9], "account acct_17_9 of operation 17, row 10 is lost");

    let mut evidence = sound();
    evidence.difference.extra = vec![Side { id: Some(8), ..side(17, 3, 20) }];
    let lines = only(&evidence, Verdict::Fail, &["bank.accounts"]);
    assert_eq!(lines, ["account 8 acct_17_3 of operation 17, row 4 is there, but was deleted or never acknowledged"]);
    evidence.difference.extra.push(side(17, 4, 20));
    only(&evidence, Verdict::Fail, &["bank.accounts", "bank.batches"]);

    let mut evidence = sound();
    evidence.difference.complete = false;
    let checks = judge(&evidence);
    assert_eq!(of(&checks, "bank.accounts").verdict, Some(Verdict::Fail));
    assert_eq!(of(&checks, "bank.batches").verdict, Some(Verdict::Inconclusive));
}

#[test]
fn strangers_names_and_values() {
    let mut evidence = sound();
    evidence.accounts.row(&AccountRow { author: None, ..row(7, 0, expected(0, 0)) });
    assert_eq!(
        only(&evidence, Verdict::Fail, &["bank.accounts", "bank.names"]),
        ["account 7 \"acct_x\" with balance 0"]
    );

    let mut evidence = sound();
    evidence.twice.push(("acct_x".into(), 2));
    assert_eq!(only(&evidence, Verdict::Fail, &["bank.names"]), ["the name acct_x belongs to 2 accounts"]);

    let mut evidence = sound();
    evidence.accounts.row(&AccountRow { wrong: vec!["interest_rate is 3, not 4".into()], ..row(7, 0, expected(0, 0)) });
    assert_eq!(
        only(&evidence, Verdict::Fail, &["bank.names"]),
        ["account 7 acct_x of operation 9: interest_rate is 3, not 4"]
    );

    let mut evidence = sound();
    evidence.accounts.row(&row(7, -4, expected(0, -4)));
    evidence.accounts.row(&row(8, 4, expected(0, 4)));
    assert_eq!(
        only(&evidence, Verdict::Fail, &["bank.funds"]),
        ["account 7 acct_x of operation 9: balance -4 is below zero"]
    );
}

#[test]
fn orphans_and_transfers() {
    let mut evidence = sound();
    evidence.transfers.row(&TransferRow { to_exists: false, ..transfer(Seal::Intact(5)) });
    assert_eq!(
        only(&evidence, Verdict::Fail, &["bank.orphans"]),
        ["transfer 4 of 30 from account 1 to account 2, by operation 5: account 2 does not exist"]
    );

    for (seal, line) in [
        (Seal::Altered(5), "transfer 4 of 30 from account 1 to account 2, by operation 5: it is not as it was written"),
        (Seal::Foreign, "transfer 4 of 30 from account 1 to account 2, by nobody: no operation of this run wrote it"),
    ] {
        let mut evidence = sound();
        evidence.transfers.row(&transfer(seal));
        assert_eq!(only(&evidence, Verdict::Fail, &["bank.transfers"]), [line]);
    }

    for (count, amount, line) in [
        (1, 30, "transfer of 30 from a to b, by operation 5, was acknowledged and is not there"),
        (-1, -30, "transfer of 30 from a to b, by operation 5, is there once too often"),
        (0, 0, "transfers from a to b: as many as were acknowledged, but other ones"),
        (2, 60, "transfers from a to b: 2 of 60 together were acknowledged and are not there"),
        (-2, -60, "transfers from a to b: 2 of 60 together are there that nobody acknowledged"),
    ] {
        let mut evidence = sound();
        evidence.gaps.push(PairGap { from: "a".into(), to: "b".into(), count, amount, keys: 5, doubtful: false });
        assert_eq!(only(&evidence, Verdict::Fail, &["bank.transfers"]), [line]);
    }
}

#[test]
fn what_workers_saw_counts() {
    for (rule, check) in [
        (Rule::Page, "bank.reads"),
        (Rule::Value, "bank.reads"),
        (Rule::Lookup, "bank.reads"),
        (Rule::Transfers, "bank.reads"),
        (Rule::Funds, "bank.funds"),
        (Rule::ReadBack, "bank.balances"),
        (Rule::Deletion, "bank.balances"),
        (Rule::Ids, "bank.ids"),
    ] {
        let mut evidence = sound();
        evidence.books.violations.add(Violation::of(rule, "reader 1, operation 2: something"));
        assert_eq!(
            only(&evidence, Verdict::Fail, &[check]),
            [format!("{}: reader 1, operation 2: something", rule.word())]
        );
    }
}

#[test]
fn evidence_is_bounded_and_counted() {
    let mut evidence = sound();
    for id in 0..10_000 {
        evidence.accounts.row(&row(id, -1, expected(0, 0)));
        evidence.books.violations.add(Violation::of(Rule::Page, &"x".repeat(10_000)));
    }
    let checks = judge(&evidence);
    let balances = of(&checks, "bank.balances");
    assert_eq!((balances.evidence.len(), balances.evidence_total), (EVIDENCE_MAX, 10_000));
    assert_eq!(of(&checks, "bank.reads").evidence_total, 10_000);
    assert!(serde_json::to_string(&evidence.books.violations).unwrap().len() < 5_000);
}
