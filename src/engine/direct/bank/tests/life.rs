//! Cycles in which nothing is wrong, whatever happens to soakd.

use super::*;
use crate::engine::direct::course::Op;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_holds_on_sqlite() {
    for engine in [Engine::Threads, Engine::Async] {
        let rig = Parts::engine(engine).rig();
        assert_eq!(rig.load(40).await, Vec::<String>::new());
        let checks = rig.verified().await;
        all_pass(&checks);
        let (accounts, transfers) = rig.ground.journal.with(|ledger| (ledger.count(), ledger.sums.transfers));
        assert_eq!(rig.ask("SELECT count(*) FROM accounts"), accounts);
        assert!(accounts > 1_500 && transfers > 40, "{accounts} accounts, {transfers} transfers");
        assert!(rig.bank.lines(&rig.ground)[0].starts_with(&format!("Accounts: {accounts} (inserted ")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_holds_with_a_rollback_journal_and_few_accounts() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::Sqlite {
        path: dir.path().join("bank.db"),
        journal: JournalMode::Rollback,
        busy_ms: 5_000,
        foreign_keys: true,
    };
    let workers = BankWorkers { inserter: 0, transferrer: 2, reader: 1, checker: 1, deleter: 1 };
    let rig = Parts { backend: Some(backend), workers, accounts: 30, ..Parts::default() }.rig();
    // The deleter empties the bank, after which nobody has anything to do.
    rig.in_turn(60).await;
    assert_eq!(rig.bank.settle(&rig.ground).await.unwrap(), Vec::<String>::new());
    let checks = rig.bank.verify(&rig.ground).await.unwrap().checks;
    let none = |check: &&CheckResult| check.verdict == Some(Verdict::Inconclusive);
    let unseen: Vec<&str> = checks.iter().filter(none).map(|check| check.check.as_str()).collect();
    assert_eq!(unseen, ["bank.balances", "bank.funds", "bank.names"], "{}", shown(&checks));
    assert!(checks.iter().all(|check| check.verdict != Some(Verdict::Fail)), "{}", shown(&checks));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_done_proves_nothing() {
    let rig = Parts { accounts: 0, workers: BankWorkers::each(0), ..Parts::default() }.rig();
    rig.load(0).await;
    let checks = rig.bank.verify(&rig.ground).await.unwrap().checks;
    let passed = |check: &&CheckResult| !matches!(check.verdict, None | Some(Verdict::Inconclusive));
    assert_eq!(checks.iter().filter(passed).count(), 0, "{}", shown(&checks));
    assert_eq!(checks.iter().filter(|check| check.verdict.is_none()).count(), 4, "{}", shown(&checks));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cycle_may_begin_again() {
    let rig = Parts::default().rig();
    rig.load(5).await;
    rig.bank.begin(&rig.ground).await.unwrap();
    assert_eq!(rig.ground.journal.with(|ledger| ledger.count()), 100);
    rig.more(5).await;
    all_pass(&rig.verified().await);
}

/// Reads the journal again, as a new process does.
fn reopened(rig: &Rig) -> Ground<BankLedger> {
    let journal = Journal::open(&rig.dir.path().join("journal"), 3, rig.bank.ledger()).unwrap();
    Ground { journal: Arc::new(journal), ..rig.ground.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_under_way_at_a_kill_is_found_out_by_looking() {
    killed(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_load_that_goes_on_after_a_kill_can_be_settled_too() {
    killed(15).await;
}

/// Ends a process in the middle of the load; the next one goes on for a number of turns before anybody looks.
async fn killed(turns: usize) {
    let mut rig = Parts::default().rig();
    rig.load(15).await;
    let ops = unfinished(&rig).await;
    let ground = reopened(&rig);
    // The beginning of a read waits for its end: nobody has to find out what became of it.
    assert_eq!(ground.journal.open_operations().0.len(), ops.len() - 1);
    assert_eq!(
        rig.ground.journal.with(|ledger| serde_json::to_string(ledger).unwrap()),
        ground.journal.with(|ledger| serde_json::to_string(ledger).unwrap()),
        "a journal that is read again says the same"
    );
    rig.ground = ground;
    assert_eq!(rig.more(turns).await, Vec::<String>::new());
    all_pass(&rig.verified().await);
    assert!(rig.ground.journal.open_operations().0.is_empty());
}

/// Leaves operations of every kind open of which some happened: what a process that is killed leaves.
async fn unfinished(rig: &Rig) -> Vec<Op> {
    let (journal, identity) = (&rig.ground.journal, Identity::new(SEED));
    let mut session = rig.ground.pool.get(Instant::now() + rig.ground.limit).await.unwrap();
    let key = |lane, no| Key::of(3, lane, 9, no).unwrap();
    let mut ops = Vec::new();
    // An insert that happened, one that did not, and one whose accounts are all deleted again.
    for no in 1..=3 {
        let first = key(Lane::Inserter, no);
        let high = journal.with(|ledger| ledger.high);
        ops.push(journal.begin(Lane::Inserter, 9, Begin::Insert { first: first.pack(), rows: 20, high }).unwrap());
        if no == 2 {
            continue;
        }
        let ids = inserter::batch(&mut session, identity, first, 20).await.unwrap();
        for (index, id) in ids.into_iter().enumerate().filter(|_| no == 3) {
            let party = Party { key: first.row(index as u32).pack(), id };
            let op = journal.begin(Lane::Deleter, 8, Begin::Delete(party)).unwrap();
            rig.other(&format!("PRAGMA foreign_keys = ON; DELETE FROM accounts WHERE id = {id}"));
            let balance = Some(identity.balance(first.row(index as u32)));
            journal.end(op, End::Acknowledged, &Done { seen: true, balance, ..Done::default() });
        }
    }
    drop(session);
    let of = |id: i64| Party { key: identity.read(&rig.name(id)).unwrap().pack(), id };
    let ids: Vec<i64> =
        (0..8).map(|at| rig.ask(&format!("SELECT id FROM accounts ORDER BY name DESC LIMIT 1 OFFSET {at}"))).collect();
    // Transfers: happened; did not; happened, and then the receiver was deleted; did not, and it was deleted.
    for (no, from, to, happened, deleted) in [
        (1, ids[0], ids[1], true, false),
        (2, ids[1], ids[2], false, false),
        (3, ids[2], ids[4], true, true),
        (4, ids[3], ids[5], false, true),
    ] {
        let key = key(Lane::Transferrer, no);
        let content = crate::workload::bank::Content { from, to, amount: 7 };
        let begin = Begin::Transfer { key: key.pack(), from: of(from), to: of(to), amount: 7 };
        ops.push(journal.begin(Lane::Transferrer, 9, begin).unwrap());
        if happened {
            let (reference, time) = (identity.reference(key, content), identity.transfer_time(key));
            rig.other(&format!(
                "UPDATE accounts SET balance = balance - 7 WHERE id = {from}; UPDATE accounts SET balance = balance + 7 WHERE id = {to};
                 INSERT INTO transfers (from_account, to_account, amount, ref_id, created_at)
                 VALUES ({from}, {to}, 7, '{reference}', '{}')",
                crate::target::sql::value::time_text(time)
            ));
        }
        if deleted {
            // A deletion of which nobody knows either.
            ops.push(journal.begin(Lane::Deleter, 9, Begin::Delete(of(to))).unwrap());
            rig.other(&format!("PRAGMA foreign_keys = ON; DELETE FROM accounts WHERE id = {to}"));
        }
    }
    // A deletion and a transfer that began with an old page, when the account was deleted already.
    let old = of(ids[6]);
    let deleting = journal.begin(Lane::Deleter, 8, Begin::Delete(old)).unwrap();
    let held = rig.ask(&format!("SELECT balance FROM accounts WHERE id = {}", old.id));
    rig.other(&format!("PRAGMA foreign_keys = ON; DELETE FROM accounts WHERE id = {}", old.id));
    journal.end(deleting, End::Acknowledged, &Done { seen: true, balance: Some(held), ..Done::default() });
    ops.push(journal.begin(Lane::Deleter, 9, Begin::Delete(old)).unwrap());
    let stale = key(Lane::Transferrer, 5).pack();
    let begin = Begin::Transfer { key: stale, from: of(ids[0]), to: old, amount: 7 };
    ops.push(journal.begin(Lane::Transferrer, 9, begin).unwrap());
    // A deletion that did not happen, and a read.
    ops.push(journal.begin(Lane::Deleter, 9, Begin::Delete(of(ids[7]))).unwrap());
    ops.push(journal.begin(Lane::Reader, 9, Begin::Look).unwrap());
    ops
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_found_out_is_never_a_pass() {
    let rig = Parts::default().rig();
    rig.load(5).await;
    let identity = Identity::new(SEED);
    let of = |id: i64| Party { key: identity.read(&rig.name(id)).unwrap().pack(), id };
    let at = |at: i64| rig.ask(&format!("SELECT id FROM accounts ORDER BY name DESC LIMIT 1 OFFSET {at}"));
    let (one, two) = (at(0), at(1));
    // The receiver is deleted, and what the sender holds is explained neither way.
    let key = Key::of(3, Lane::Transferrer, 9, 1).unwrap().pack();
    rig.ground
        .journal
        .begin(Lane::Transferrer, 9, Begin::Transfer { key, from: of(one), to: of(two), amount: 7 })
        .unwrap();
    rig.ground.journal.begin(Lane::Deleter, 9, Begin::Delete(of(two))).unwrap();
    rig.other(&format!(
        "PRAGMA foreign_keys = ON; UPDATE accounts SET balance = balance + 1 WHERE id = {one}; DELETE FROM accounts WHERE id = {two}"
    ));
    let lines = rig.bank.settle(&rig.ground).await.unwrap();
    assert_eq!(lines, [format!("transferrer 9, operation 1: transfer of 7 from account {one} to account {two}")]);
    let checks = rig.bank.verify(&rig.ground).await.unwrap().checks;
    for check in ["bank.money", "bank.balances", "bank.journal"] {
        let found = checks.iter().find(|found| found.check == check).unwrap();
        assert_eq!(found.verdict, Some(Verdict::Inconclusive), "{}", shown(&checks));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn operations_that_are_let_go_of_in_their_middle_are_found_out_by_looking() {
    let rig = Parts::engine(Engine::Async).rig();
    rig.load(5).await;
    let open = rig.hurried(40, 12_000).await;
    assert!(open > 0, "every operation came to its end");
    all_pass(&rig.verified().await);
}

#[test]
fn what_nobody_is_to_do_is_not_exercised_and_what_nobody_did_is_in_doubt() {
    let of = |spec: &BankSpec, name: &str| {
        let (verdict, summary) = (Some(Verdict::Inconclusive), String::new());
        let mut check = CheckResult { check: name.into(), verdict, summary, evidence: Vec::new(), evidence_total: 0 };
        Bank::new(spec.clone(), SEED, Dialect::Sqlite).excuse(&mut check);
        check.verdict
    };
    let workers = BankWorkers { reader: 0, checker: 0, ..BankWorkers::each(1) };
    let blind = BankSpec { workers, ..BankSpec::default() };
    assert_eq!(of(&blind, "bank.reads"), None);
    assert_eq!(of(&blind, "bank.transfers"), Some(Verdict::Inconclusive));
    assert_eq!(of(&BankSpec::default(), "bank.reads"), Some(Verdict::Inconclusive));
}
