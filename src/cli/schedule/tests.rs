//! What people read, across a change of the clock.

use super::*;

/// Returns what the command prints for the rest of a configuration and for its schedules.
fn shown(rest: &str, schedules: &str, args: &ScheduleArgs) -> String {
    let mut loaded = Config::parse(rest, "soakd.toml").unwrap();
    loaded.config.schedule = toml::from_str(schedules).unwrap();
    let mut out = Vec::new();
    assert_eq!(show(args, &loaded, &mut out).unwrap(), EXIT_OK);
    String::from_utf8(out).unwrap()
}

fn args(from: &str, runs: u64, format: ScheduleFormat) -> ScheduleArgs {
    ScheduleArgs { config: "soakd.toml".into(), runs, from: Some(from.parse().unwrap()), format }
}

const SCHEDULES: &str = r#"
[nightly]
cron = "30 2 * * *"
zone = "Europe/Berlin"

[short]
cron = "0 */8 * * *"
zone = "America/New_York"
missed = "once"
quiet = ["Sun 00:00-05:00"]
runs = 5

[odd]
cron = "0 * * * *"
quiet = ["00:00-23:00"]
until = "2026-10-25"

[over]
cron = "@daily"
until = "2025-12-31"
"#;

#[test]
fn the_next_runs_are_listed_across_a_change_of_the_clock() {
    let text = shown("", SCHEDULES, &args("2026-10-24T12:00:00+02:00", 10, ScheduleFormat::Text));
    insta::assert_snapshot!(text, @r"
    LOCAL TIME                 UTC                   SCHEDULE                  IN
    2026-10-24T08:00:00-04:00  2026-10-24T12:00:00Z  short (America/New_York)  2h
    2026-10-24T16:00:00-04:00  2026-10-24T20:00:00Z  short (America/New_York)  10h
    2026-10-24T23:00:00+00:00  2026-10-24T23:00:00Z  odd (UTC)                 13h  (12 runs before it fall into quiet hours)
    2026-10-25T02:30:00+02:00  2026-10-25T00:30:00Z  nightly (Europe/Berlin)   14h30m
    2026-10-25T05:00:00-04:00  2026-10-25T09:00:00Z  short (America/New_York)  23h  (when quiet hours end)
    2026-10-25T08:00:00-04:00  2026-10-25T12:00:00Z  short (America/New_York)  1d2h
    2026-10-25T16:00:00-04:00  2026-10-25T20:00:00Z  short (America/New_York)  1d10h
    2026-10-25T23:00:00+00:00  2026-10-25T23:00:00Z  odd (UTC)                 1d13h  (23 runs before it fall into quiet hours)
    2026-10-26T02:30:00+01:00  2026-10-26T01:30:00Z  nightly (Europe/Berlin)   1d15h
    2026-10-27T02:30:00+01:00  2026-10-27T01:30:00Z  nightly (Europe/Berlin)   2d15h
    over: no run is left: it ends with 2025-12-31
    short: runs that have taken place already are not counted here
    ");
}

#[test]
fn the_list_is_there_as_json() {
    let json = shown("", SCHEDULES, &args("2026-03-29T02:00:00+02:00", 2, ScheduleFormat::Json));
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&list["format"], &list["from"]), (&1.into(), &"2026-03-29T00:00:00Z".into()));
    let first = serde_json::json!({
        "schedule": "nightly",
        "zone": "Europe/Berlin",
        "local": "2026-03-29T03:00:00+02:00",
        "utc": "2026-03-29T01:00:00Z",
        "in_s": 3600,
        "deferred": false,
        "quiet_skipped": 0,
    });
    assert_eq!(list["runs"][0], first);
    assert_eq!(list["runs"][1]["utc"], "2026-03-29T09:00:00Z");
    assert_eq!(list["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_configuration_without_schedules_says_what_runs() {
    for (config, expected) in [
        ("", "one continuous run, without a pause between cycles, until it is stopped."),
        (
            "[run]\ncycles = 3\nduration = \"2d\"\npause = \"5m\"",
            "one continuous run, with a pause of 5m between cycles, and ends after 3 cycles or after 2d.",
        ),
    ] {
        let text = shown(config, "", &args("2026-03-28T12:00:00Z", 2, ScheduleFormat::Text));
        assert_eq!(text, format!("soakd.toml has no schedules: {expected}\n"));
    }
}

#[test]
fn a_time_to_go_has_two_units() {
    for (seconds, expected) in
        [(0, "0s"), (59, "59s"), (61, "1m1s"), (3600, "1h"), (7325, "2h2m"), (90_061, "1d1h"), (864_000, "10d")]
    {
        assert_eq!(in_words(seconds), expected);
    }
}
