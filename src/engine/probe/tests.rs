use super::*;
use crate::model::classify;
use crate::model::finding::{Follow, Kind, Side};

fn error(kind: Kind) -> Classified {
    classify::made(Side::Server, kind, Follow::Fail, None, "no")
}

#[test]
fn only_what_the_gateway_does_not_offer_is_left_out() {
    let address = || "http://127.0.0.1:1".to_owned();
    let unsupported = GatewayError::Unsupported { doing: "revoking a token", address: address() };
    assert!(matches!(untried(&unsupported), TrialOutcome::NotExercised(_)));
    let doing = "issuing a token";
    for other in [
        GatewayError::Transport { doing, address: address(), classified: error(Kind::Refused) },
        GatewayError::Status { doing, address: address(), status: 500, classified: error(Kind::Http5xx) },
        GatewayError::Shape { doing, address: address(), why: "it is empty".into() },
    ] {
        assert!(matches!(untried(&other), TrialOutcome::Broken(_)), "{other}");
    }
}

#[test]
fn a_trial_that_did_not_happen_is_not_taken_for_one() {
    let outcome = |tried| came_of(tried).expect("the run goes on");
    let trial = |accepted, error| Reply::Trial { accepted, rows: 0, error };
    assert!(matches!(outcome(Ok(trial(true, None))), TrialOutcome::Accepted { .. }));
    assert!(matches!(outcome(Ok(trial(false, Some(error(Kind::Auth))))), TrialOutcome::Refused(_)));
    for tried in [
        Ok(trial(false, None)),
        Ok(Reply::Done),
        Err(CrewError::Failed(Box::new(error(Kind::Auth)))),
        Err(CrewError::Down("its worker ended".into())),
    ] {
        assert!(matches!(outcome(tried), TrialOutcome::Broken(_)));
    }
    assert!(came_of(Err(CrewError::Lost(anyhow::anyhow!("the ledger is broken")))).is_err());
}
