//! Latency counts from the time at which a step was meant to start: what a slow server holds up is in the figures.

#![allow(clippy::unwrap_used)]

#[path = "support/soak.rs"]
mod soak;

use serde_json::Value;
use soak::{Ended, Soak};

fn soak(workload: &'static str) -> Soak {
    Soak {
        databases: 2,
        iterations: 1,
        rows: 5,
        pace: "concurrent",
        plants: vec!["base-latency=200ms"],
        more: "[verify]\nisolation = false".to_owned(),
        workload,
        ..Soak::default()
    }
}

fn latency<'e>(ended: &'e Ended, action: &str) -> &'e Value {
    let all = ended.report["latency"].as_array().unwrap();
    all.iter().find(|one| one["action"] == action).unwrap_or_else(|| panic!("no {action}: {}", ended.story()))
}

#[test]
fn a_slow_answer_counts_in_the_steps_that_it_holds_up_too() {
    // Nine steps, five of them calls of 200 ms (there is nothing to send at first): at 100 a second the last one starts about
    // 0.7 s after its time.
    let open = soak("rate = 100.0").run();
    open.assert_code(0);
    let closed = soak("").run();
    closed.assert_code(0);
    for ended in [&open, &closed] {
        assert_eq!(
            (&latency(ended, "received")["count"], &latency(ended, "inserted")["count"]),
            (&6.into(), &2.into())
        );
        assert!(latency(ended, "sent")["p50_us"].as_u64().unwrap() >= 200_000, "{}", ended.story());
    }
    let longest = |ended, action| latency(ended, action)["max_us"].as_u64().unwrap();
    assert!(longest(&open, "received") >= 900_000, "{}", open.story());
    assert!(longest(&open, "updated") >= 500_000, "{}", open.story());
    assert!(longest(&closed, "updated") < 500_000, "{}", closed.story());
}

#[test]
fn at_a_rate_that_the_server_holds_nothing_starts_late_and_the_load_takes_its_time() {
    let ended = Soak { plants: Vec::new(), ..soak("rate = 20.0") }.run();
    ended.assert_code(0);
    let load_ms = ended.cycle(1)["load_ms"].as_u64().unwrap();
    assert!(load_ms >= 400, "the ninth step was not meant to start before 0.4 s: {load_ms} ms");
    assert_eq!(ended.cycle(1)["verdict"], "pass", "{}", ended.story());
}
