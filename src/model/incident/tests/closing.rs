//! What the end of a cycle makes of incidents.

use super::*;
use crate::model::record::CycleRecord;
use crate::model::verdict::{CheckResult, Verdict};

fn check(name: &str, verdict: Verdict, summary: &str) -> CheckResult {
    let evidence = if verdict == Verdict::Fail { vec![format!("{name}: db1_r3_3")] } else { Vec::new() };
    CheckResult { check: name.into(), verdict: Some(verdict), summary: summary.into(), evidence, evidence_total: 1 }
}

fn cycle(cycle: u64, checks: Vec<CheckResult>) -> CycleRecord {
    CycleRecord {
        cycle,
        started_ms: 0,
        ended_ms: 0,
        load_ms: 0,
        settle_ms: 0,
        verify_ms: 0,
        checkpoint_us: 0,
        settle_rounds: 1,
        steps: 1,
        steps_planned: 1,
        errors: 0,
        rows_final: 1,
        content: String::new(),
        epoch: 1,
        server: String::new(),
        checks_digest: String::new(),
        previous: String::new(),
        digest: String::new(),
        verdict: Verdict::worst(checks.iter().filter_map(|c| c.verdict)),
        checks,
    }
}

const LOST: &str = "3 rows are not as they must be; first: lost: db1_r3_3 in DB2: is missing";

fn checks(convergence: Verdict, errors: Verdict) -> Vec<CheckResult> {
    vec![
        check("convergence.user1", convergence, LOST),
        check("health.steps", Verdict::Pass, "9 of 9 steps"),
        check("health.errors", errors, "1 errors; first cause: [DB1] no answer (network/timeout)"),
    ]
}

impl Desk {
    fn close(&mut self, no: u64, checks: Vec<CheckResult>) {
        self.work(1_000_000 + no as i64, |book, cx| book.close_cycle(cx, &cycle(no, checks), 3));
    }
}

use Verdict::{Fail, Inconclusive, Pass};

#[test]
fn a_failed_check_is_one_incident_over_users_cycles_and_its_own_finding() {
    let mut desk = Desk::default();
    for no in 1..=4 {
        let mut written = seen(no as i64, Kind::Divergence, &format!("convergence.user1: {LOST}"));
        (written.cycle, written.phase) = (no, "verify".into());
        desk.add(&[written]);
        desk.close(no, vec![check("convergence.user1", Fail, LOST), check("convergence.user22", Pass, "")]);
    }
    let incident = desk.only();
    assert_eq!(incident.cause, "check/convergence.user#/lost");
    assert_eq!(incident.title, format!("convergence.user1: {LOST}"));
    assert_eq!((incident.count, incident.cycle_first, incident.cycle_last), (4, 1, 4));
    assert!(incident.evidence.contains(&"convergence.user1: db1_r3_3".to_owned()), "{:?}", incident.evidence);
    // Without the finding, the check alone opens and counts.
    let mut alone = Desk::default();
    alone.close(1, checks(Fail, Pass));
    assert_eq!((alone.only().count, alone.only().severity), (1, Severity::Failure));
}

#[test]
fn errors_of_a_cycle_join_what_was_found_in_it() {
    let mut desk = Desk::default();
    desk.add(&[crash(1)]);
    desk.close(1, checks(Fail, Fail));
    let titles = desk.titles();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[1].2.starts_with("convergence.user1: 3 rows"));
    let evidence = &desk.table[&2].incident.evidence;
    assert!(evidence.iter().any(|l| l == "after incident 1: the embedded target ended by signal 9"), "{evidence:?}");
    let evidence = &desk.table[&1].incident.evidence;
    assert!(evidence.iter().any(|line| line.starts_with("health.errors: 1 errors")), "{evidence:?}");

    // Nothing else was found: it stands for itself, by the kind of the first error.
    let mut desk = Desk::default();
    desk.close(1, checks(Pass, Fail));
    assert_eq!(desk.only().cause, "check/health.errors/network/timeout");
}

#[test]
fn what_proves_nothing_is_a_warning_unless_something_failed() {
    let mut desk = Desk::default();
    desk.close(1, checks(Inconclusive, Pass));
    desk.close(2, checks(Inconclusive, Pass));
    assert_eq!(desk.only().cause, "inconclusive/convergence.user#");
    assert_eq!((desk.only().severity, desk.only().count), (Severity::Warning, 2));
    let mut desk = Desk::default();
    desk.add(&[crash(1)]);
    desk.close(1, checks(Inconclusive, Pass));
    assert!(desk.only().evidence.iter().any(|l| l.starts_with("convergence.user1 is inconclusive: ")));
    let mut desk = Desk::default();
    desk.close(1, Vec::new());
    assert_eq!(desk.only().cause, "inconclusive/cycle");
    (2..=4).for_each(|no| desk.close(no, checks(Pass, Pass)));
    assert_eq!(desk.only().state, IncidentState::Resolved);
}

#[test]
fn enough_clean_cycles_in_a_row_resolve_and_the_same_cause_opens_it_again() {
    let mut desk = Desk::default();
    desk.close(1, checks(Fail, Pass));
    desk.close(2, checks(Pass, Pass));
    desk.close(3, checks(Pass, Pass));
    desk.close(4, checks(Fail, Pass));
    (5..=6).for_each(|no| desk.close(no, checks(Pass, Pass)));
    assert_eq!((desk.only().state, desk.only().clean_cycles), (IncidentState::Open, 2));
    desk.reopen_file();
    desk.close(7, checks(Pass, Pass));
    assert_eq!((desk.only().state, desk.only().resolved_ms), (IncidentState::Resolved, Some(1_000_007)));
    desk.reopen_file();
    // Another run of the same state file.
    desk.run = Some("run-2");
    desk.close(1, checks(Fail, Pass));
    let incident = desk.only();
    assert_eq!((incident.state, incident.run.as_str(), incident.count), (IncidentState::Open, "run-2", 3));
    assert_eq!((incident.cycle_first, incident.cycle_last, incident.resolved_ms), (1, 1, None));
    let history: Vec<_> = incident.history.iter().map(|c| (c.cycle, &c.what)).collect();
    assert_eq!(history[0], (1, &ChangeKind::Opened));
    assert_eq!((history[1].1, history[2].1), (&ChangeKind::Resolved, &ChangeKind::Reopened));
}

#[test]
fn a_cycle_counts_as_clean_only_for_what_it_proves() {
    // (convergence, errors) of the later cycles, and whether the check's and the finding's incident are resolved.
    for (convergence, errors, of_check, of_finding) in [
        (Pass, Pass, true, true),
        (Pass, Inconclusive, true, false),
        (Pass, Fail, true, false),
        (Inconclusive, Pass, false, true),
        (Inconclusive, Inconclusive, false, false),
    ] {
        let mut desk = Desk::default();
        desk.close(1, checks(Fail, Pass));
        desk.add(&[seen(1, Kind::Auth, "unknown key")]);
        (2..=4).for_each(|no| desk.close(no, checks(convergence, errors)));
        let resolved = |id| desk.table[&id].incident.state == IncidentState::Resolved;
        assert_eq!((resolved(1), resolved(2)), (of_check, of_finding), "{convergence:?} {errors:?}");
    }
    // A check that is not exercised proves nothing, even if the cycle passes.
    let mut desk = Desk::default();
    desk.close(1, checks(Fail, Pass));
    for no in 2..=9 {
        let mut others = checks(Pass, Pass);
        others[0].verdict = None;
        desk.close(no, others);
    }
    assert_eq!(desk.only().state, IncidentState::Open);
}
