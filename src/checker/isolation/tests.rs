use super::*;
use crate::model::finding::{Follow, Side};

/// What a sound server leaves behind: every canary intact, nothing forged.
fn sound() -> Evidence {
    let mut evidence = Evidence { users: 2, cycle: 3, server: Some(ProbeRows::new()), ..Evidence::default() };
    for attempt in attempts(2) {
        let Some(owner) = attempt.owner_before() else { continue };
        let row = (user_id(owner), mark(3, false));
        evidence.readers.entry(owner).or_default().insert(attempt.key(), row.clone());
        evidence.server.as_mut().unwrap().insert(attempt.key(), row);
    }
    evidence
}

fn attempt(verb: Verb) -> Attempt {
    Attempt { attacker: 2, victim: 1, verb }
}

#[test]
fn a_sound_server_passes_and_every_cell_is_counted() {
    let result = judge_matrix(&sound(), 50);
    assert_eq!(result.verdict, Some(Verdict::Pass), "{result:?}");
    assert!(result.summary.starts_with("12 attempts between 2 users"), "{}", result.summary);
}

#[test]
fn every_accepted_write_is_seen_on_the_server_alone_and_at_the_victim_alone() {
    let forged = |a: &Attempt| a.owner_claimed().map(|owner| (user_id(owner), mark(3, true)));
    for verb in Verb::WRITES {
        let attempt = attempt(verb);
        for on_server in [true, false] {
            let mut evidence = sound();
            let holder = if verb == Verb::Give { 2 } else { 1 };
            let place =
                if on_server { evidence.server.as_mut().unwrap() } else { evidence.readers.entry(holder).or_default() };
            match forged(&attempt) {
                Some(row) => place.insert(attempt.key(), row),
                None => place.remove(&attempt.key()),
            };
            let result = judge_matrix(&evidence, 50);
            assert_eq!(result.verdict, Some(Verdict::Fail), "{verb} on_server={on_server}");
            assert_eq!(result.evidence.len(), 1, "{result:?}");
            assert!(result.evidence[0].contains(&attempt.key()) && result.evidence[0].contains("user 2 on row"));
        }
    }
}

#[test]
fn a_foreign_row_is_a_failed_select() {
    let mut evidence = sound();
    evidence.foreign.push((2, "DB3".into(), "db1_r5_3".into(), user_id(1)));
    let result = judge_matrix(&evidence, 50);
    assert_eq!(result.verdict, Some(Verdict::Fail));
    assert!(result.evidence[0].contains("user 2 sees row db1_r5_3"), "{result:?}");
}

#[test]
fn what_could_not_be_tried_never_passes() {
    let mut evidence = sound();
    evidence.broken.push((attempt(Verb::Update), "connection refused".into()));
    assert_eq!(judge_matrix(&evidence, 50).verdict, Some(Verdict::Inconclusive));
    let mut evidence = sound();
    evidence.failed = Some("the reader is gone".into());
    assert_eq!(judge_matrix(&evidence, 50).verdict, Some(Verdict::Inconclusive));
}

fn refused(kind: Kind) -> TrialOutcome {
    TrialOutcome::Refused(Classified {
        side: Side::Server,
        kind,
        follow: Follow::Fail,
        code: None,
        message: "token expired".into(),
    })
}

#[test]
fn credentials_must_be_refused_for_the_right_reason() {
    let verdict = |outcome| judge_tokens(&[Trial { name: "expired token", outcome }]).verdict;
    assert_eq!(verdict(refused(Kind::Auth)), Some(Verdict::Pass));
    assert_eq!(verdict(refused(Kind::Refused)), Some(Verdict::Inconclusive));
    assert_eq!(verdict(TrialOutcome::Accepted { rows: 0 }), Some(Verdict::Fail));
    assert_eq!(verdict(TrialOutcome::NotExercised("no gateway".into())), None);
}

#[test]
fn only_refused_credentials_are_counted_and_the_others_are_named() {
    let trial = |name, outcome| Trial { name, outcome };
    let mut trials = vec![
        trial("no credential", refused(Kind::Auth)),
        trial("garbage token", refused(Kind::Auth)),
        trial("expired token", refused(Kind::Auth)),
        trial("revoked token", TrialOutcome::NotExercised("not offered".into())),
    ];
    let result = judge_tokens(&trials);
    assert_eq!(result.verdict, Some(Verdict::Pass));
    assert_eq!(result.summary, "3 credentials that must be refused were refused; not exercised: revoked token");
    trials[3].outcome = TrialOutcome::Broken("no connection".into());
    let result = judge_tokens(&trials);
    assert_eq!(result.verdict, Some(Verdict::Inconclusive));
    assert!(result.summary.contains("revoked token: could not be tried: no connection"), "{result:?}");
}

#[test]
fn a_canary_that_a_third_user_or_a_load_database_sees_is_a_failed_select() {
    let key = attempt(Verb::Update).key();
    let sees = |user, place: (&str, bool)| {
        let mut evidence = sound();
        evidence.see_foreign(user, place, key.clone(), user_id(1));
        judge_matrix(&evidence, 50)
    };
    for (user, place) in [(3, ("the reader of user 3", true)), (3, ("DB5", false)), (2, ("DB3", false))] {
        let result = sees(user, place);
        assert_eq!(result.verdict, Some(Verdict::Fail), "{result:?}");
        assert!(result.evidence[0].contains(&format!("select: user {user} sees row {key}")), "{result:?}");
    }
    assert_eq!(sees(2, ("the reader of user 2", true)).verdict, Some(Verdict::Pass), "the attempt itself is judged");
}
