//! Receipts: what is whole is found whole, and every way to change one is found and named.

use proptest::prelude::*;

use super::verify::{Examiner, Fault, Found, PROBLEMS_MAX};
use super::*;
use crate::model::record::{Phase, ScaleRecord, Versions};
use crate::model::verdict::Verdict;

fn run(id: &str) -> RunRecord {
    RunRecord {
        run: id.to_owned(),
        name: "nightly \u{e4} \"x\"".to_owned(),
        schedule: None,
        seed: u64::MAX,
        started_ms: 1_760_000_000_000,
        ended_ms: Some(1_760_000_900_000),
        config: BTreeMap::from([("run.name".to_owned(), "nightly".to_owned()), ("a.b".to_owned(), "\n".to_owned())]),
        scale: ScaleRecord {
            scale: "small".to_owned(),
            mode: "classic".to_owned(),
            provider: "native".to_owned(),
            target: "embedded".to_owned(),
            rls: true,
            rows: 1000,
            iterations: 5,
            databases: 4,
            users: 2,
            cycles_planned: None,
            duration_planned_ms: None,
            steps_per_cycle: 180,
        },
        versions: Versions::default(),
        cycle: 1,
        phase: Phase::Done,
        observed_ms: 7,
        criteria: "c0ffee".to_owned(),
        verdict: Some(Verdict::Pass),
        ended_because: Some("cycles done".to_owned()),
    }
}

fn cycle(no: u64) -> CycleRecord {
    let check = |name: &str| CheckResult {
        check: name.to_owned(),
        verdict: Some(Verdict::Pass),
        summary: format!("cycle {no} is right"),
        evidence: vec!["row 1".to_owned()],
        evidence_total: 1,
    };
    CycleRecord {
        cycle: no,
        started_ms: 1_760_000_000_000 + no as i64 * 60_000,
        ended_ms: 1_760_000_055_000 + no as i64 * 60_000,
        load_ms: 40_123,
        settle_ms: 5_456,
        verify_ms: 9_789,
        checkpoint_us: 12_345,
        settle_rounds: 2,
        steps: 180,
        steps_planned: 180,
        errors: 1,
        rows_final: 4_000,
        content: "9f86d081884c7d65".to_owned(),
        epoch: 3,
        server: "embedded 1".to_owned(),
        verdict: Verdict::Pass,
        checks: vec![check("convergence"), check("health")],
        checks_digest: String::new(),
        previous: String::new(),
        digest: String::new(),
    }
}

/// The lines of a whole receipt of so many cycles.
fn receipt(id: &str, cycles: u64, ended: bool) -> Vec<String> {
    let first = run_line(&run(id));
    let (mut lines, mut head) = (vec![first.text], first.digest);
    for no in 1..=cycles {
        let mut record = cycle(no);
        link(&mut record, &head);
        head.clone_from(&record.digest);
        lines.push(cycle_line(&record));
    }
    let judgement = Judgement::default();
    lines.push(match ended {
        true => end_line(&run(id), cycles, &Counters::default(), Some(&judgement), &head).text,
        false => open_line(9, cycles, &head).text,
    });
    lines
}

fn examined(lines: &[String]) -> Found {
    let mut examiner = Examiner::new(None);
    lines.iter().for_each(|line| examiner.line(line.as_bytes(), false).unwrap());
    examiner.finish().unwrap()
}

/// The faults of lines, each with its line.
fn faults(lines: &[String]) -> Vec<(u64, Fault)> {
    examined(lines).problems.iter().map(|problem| (problem.line, problem.fault)).collect()
}

#[test]
fn a_whole_receipt_is_whole() {
    for (cycles, ended) in [(0, true), (1, true), (50, true), (0, false), (3, false)] {
        let found = examined(&receipt("a", cycles, ended));
        assert_eq!((found.problems.as_slice(), found.cycles, found.ended()), ([].as_slice(), cycles, ended));
        assert_eq!(found.run.unwrap()["run"], "a");
        assert_eq!(found.head.len(), 64);
    }
}

#[test]
fn a_line_is_what_everybody_can_compute() {
    let lines = receipt("a", 1, true);
    let mut fields: Value = serde_json::from_str(&lines[1]).unwrap();
    assert!(lines[1].starts_with("{\"checkpoint_us\":12345,\"checks_digest\":\""), "{}", lines[1]);
    let digest = fields.as_object_mut().unwrap().remove("digest").unwrap();
    // The map of this test happens to be sorted, and JSON texts have one form.
    assert_eq!(digest, sha256(&fields.to_string()));
    assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(
        canonical(&json!({"b": [], "a": {}, "\u{e4}": [1, "\n"]})),
        "{\"a\":{},\"b\":[],\"\u{e4}\":[1,\"\\n\"]}"
    );
}

#[test]
fn thinning_changes_no_line_and_every_other_change_does() {
    let mut record = cycle(1);
    link(&mut record, "p");
    let line = cycle_line(&record);
    let mut thinned = record.clone();
    thinned.checks.clear();
    assert_eq!(cycle_line(&thinned), line);
    let mut again = cycle(1);
    again.checks[0].summary.push('!');
    link(&mut again, "p");
    assert_ne!(again.digest, record.digest);
}

#[test]
fn every_field_that_is_edited_is_found() {
    let good = receipt("a", 5, true);
    for at in 0..good.len() {
        let fields: Value = serde_json::from_str(&good[at]).unwrap();
        for (name, value) in fields.as_object().unwrap() {
            let mut bad: Value = fields.clone();
            bad[name] = match value {
                Value::Number(n) => (n.as_i64().unwrap_or_default() + 1).into(),
                Value::String(text) => format!("{text}0").into(),
                Value::Null => "x".into(),
                _ => json!({ "steps": 1 }),
            };
            let mut lines = good.clone();
            lines[at] = canonical(&bad);
            let mut examiner = Examiner::new(None);
            let said = lines.iter().try_for_each(|line| examiner.line(line.as_bytes(), false));
            if at == 0 && name == "kind" {
                assert!(said.unwrap_err().contains("no line of a receipt"));
                continue;
            }
            let found = examiner.finish().unwrap();
            let first = &found.problems[0];
            assert_eq!((first.line, first.fault), (at as u64 + 1, Fault::Edited), "{name}: {:?}", found.problems);
            assert!(found.problems.len() == 1 || name == "kind", "{name}: {:?}", found.problems);
        }
    }
}

#[test]
fn a_line_with_a_new_digest_is_not_followed_by_the_next() {
    let good = receipt("a", 4, true);
    for at in 0..good.len() - 1 {
        let mut fields: Value = serde_json::from_str(&good[at]).unwrap();
        fields.as_object_mut().unwrap().remove(DIGEST);
        fields["started_ms"] = 1.into();
        let mut lines = good.clone();
        lines[at] = sealed(fields).text;
        assert_eq!(faults(&lines), [(at as u64 + 2, Fault::Foreign)]);
    }
}

#[test]
fn dropped_lines_are_named() {
    let good = receipt("a", 6, true);
    let without = |range: std::ops::RangeInclusive<usize>| {
        let mut lines = good.clone();
        lines.drain(range);
        examined(&lines)
    };
    for (range, line, text) in [
        (0..=0, 1, "the line of the run is missing before it"),
        (1..=1, 2, "cycle 1 is missing before it"),
        (3..=4, 4, "cycles 3 to 4 are missing before it"),
        (6..=6, 7, "cycle 6 is missing before it"),
    ] {
        let found = without(range);
        assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
        let problem = &found.problems[0];
        assert_eq!((problem.line, problem.fault, problem.text.as_str()), (line, Fault::Dropped, text));
    }
    assert_eq!(without(7..=7).problems[0].fault, Fault::CutOff);
    assert_eq!(without(4..=7).problems[0].fault, Fault::CutOff);
}

#[test]
fn lines_in_another_order_twice_or_behind_the_end_are_named() {
    let good = receipt("a", 6, true);
    let moved = |from: usize, to: usize| {
        let mut lines = good.clone();
        let line = lines.remove(from);
        lines.insert(to, line);
        faults(&lines)
    };
    assert_eq!(moved(2, 3), [(4, Fault::Reordered)]);
    assert_eq!(moved(5, 2), [(4, Fault::Reordered), (5, Fault::Reordered), (6, Fault::Reordered)]);
    assert_eq!(moved(0, 1), [(2, Fault::Reordered)]);
    assert_eq!(moved(6, 7), [(8, Fault::Reordered)], "behind the end");
    let mut lines = good.clone();
    lines.reverse();
    assert!(!faults(&lines).is_empty());
    let inserted = |at: usize, line: &str| {
        let mut lines = good.clone();
        lines.insert(at, line.to_owned());
        faults(&lines)
    };
    assert_eq!(inserted(4, &good[3]), [(5, Fault::Duplicated)]);
    assert_eq!(inserted(6, &good[3]), [(7, Fault::Duplicated)]);
    assert_eq!(inserted(8, &good[7]), [(9, Fault::Duplicated)]);
    assert_eq!(inserted(8, &receipt("a", 7, true)[7]), [(9, Fault::Appended)]);
    assert_eq!(inserted(8, &receipt("b", 7, true)[0]), [(9, Fault::Foreign), (9, Fault::CutOff)]);
    assert_eq!(inserted(3, "{}"), [(4, Fault::Edited)]);
    assert_eq!(inserted(3, "\u{0}\u{1}"), [(4, Fault::Edited)]);
    assert_eq!(inserted(3, ""), [(4, Fault::Edited)]);
}

#[test]
fn lines_of_another_receipt_do_not_follow() {
    let (good, other) = (receipt("a", 6, true), receipt("b", 6, true));
    let mut lines = good.clone();
    lines[3].clone_from(&other[3]);
    assert_eq!(faults(&lines), [(4, Fault::Foreign), (5, Fault::Foreign)]);
    let mut lines = good;
    lines[0].clone_from(&other[0]);
    assert_eq!(faults(&lines), [(2, Fault::Foreign)]);
}

#[test]
fn a_file_that_ends_in_the_midst_of_a_line_is_cut_off() {
    let lines = receipt("a", 2, true);
    for at in 1..4 {
        for keep in [1, 40, lines[at].len() - 1] {
            let mut examiner = Examiner::new(None);
            lines[..at].iter().for_each(|line| examiner.line(line.as_bytes(), false).unwrap());
            examiner.line(&lines[at].as_bytes()[..keep], true).unwrap();
            let problems = examiner.finish().unwrap().problems;
            assert_eq!((problems.len(), problems[0].fault), (1, Fault::CutOff), "{problems:?}");
        }
    }
    let mut examiner = Examiner::new(None);
    lines.iter().for_each(|line| examiner.line(line.as_bytes(), false).unwrap());
    assert!(examiner.finish().unwrap().problems.is_empty(), "a missing line end at the very end is no cut");
}

#[test]
fn what_is_no_receipt_or_a_newer_one_is_refused() {
    let first = |line: &[u8]| Examiner::new(None).line(line, false).unwrap_err();
    for line in [&b"hello"[..], b"", b"[1]", b"{\"kind\":\"x\"}", b"{}", &[0, 255, 1]] {
        assert!(first(line).contains("no line of a receipt"));
    }
    assert_eq!(Examiner::new(None).finish().unwrap_err(), "it is empty");
    let newer = sealed(json!({ "kind": "run", "format": 2, "run": "a" }));
    assert!(first(newer.text.as_bytes()).contains("format 2"));
}

#[test]
fn a_digest_that_was_kept_elsewhere_tells_a_rewritten_receipt() {
    let good = receipt("a", 6, true);
    let with = |lines: &[String], wanted: &str| {
        let mut examiner = Examiner::new(Some(wanted.to_owned()));
        lines.iter().for_each(|line| examiner.line(line.as_bytes(), false).unwrap());
        examiner.finish().unwrap()
    };
    let head = examined(&good).head;
    assert_eq!(with(&good, &head).covered, Some((8, "the end of the run".to_owned())));
    let fields: Value = serde_json::from_str(&good[3]).unwrap();
    assert_eq!(with(&good, fields["digest"].as_str().unwrap()).covered, Some((4, "cycle 3".to_owned())));
    // Cut short and closed anew: it holds together, and only the head tells.
    let short = receipt("a", 4, true);
    assert!(examined(&short).problems.is_empty());
    assert_eq!(with(&short, &head).problems.iter().map(|p| p.fault).collect::<Vec<_>>(), [Fault::OtherHead]);
}

#[test]
fn what_is_kept_of_a_broken_receipt_is_bounded_and_the_first_fault_is_first() {
    let mut lines = receipt("a", 300, true);
    lines.remove(2);
    for line in lines.iter_mut().skip(2) {
        line.push(' ');
    }
    lines.remove(0);
    let found = examined(&lines);
    assert_eq!((found.problems.len(), found.problems[0].line), (PROBLEMS_MAX, 1));
    assert!(found.problems_more > 250, "{}", found.problems_more);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_a_byte_goes_unseen(at in 0usize..6, place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let lines = receipt("a", 4, true);
        let mut bytes: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
        let place = place.index(bytes[at].len());
        prop_assume!(bytes[at][place] != byte);
        bytes[at][place] = byte;
        let mut examiner = Examiner::new(None);
        let said = bytes.iter().try_for_each(|line| examiner.line(line, false));
        prop_assert!(said.is_err() || !examiner.finish().unwrap().problems.is_empty());
    }

    #[test]
    fn no_edit_of_lines_goes_unseen(edits in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6)) {
        let good = receipt("a", 8, true);
        let mut lines = good.clone();
        for (what, one, two) in edits {
            if lines.is_empty() { break; }
            let (one, two) = (one.index(lines.len()), two.index(lines.len()));
            match what {
                0 => drop(lines.remove(one)),
                1 => lines.swap(one, two),
                2 => lines.insert(two, lines[one].clone()),
                _ => lines[one] = lines[one].replace("180", "181"),
            }
        }
        prop_assume!(lines != good);
        let mut examiner = Examiner::new(None);
        let said = lines.iter().try_for_each(|line| examiner.line(line.as_bytes(), false));
        prop_assert!(said.is_err() || examiner.finish().map_or(true, |found| !found.problems.is_empty()));
    }
}
