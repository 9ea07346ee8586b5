//! Quiet hours of a run: no cycle begins in them. One that was begun is finished.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::life::Life;
use crate::config::quiet::QuietHours;
use crate::config::{RunConfig, quiet, until, zone};

/// Time of the daemon's clock between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Who holds the run back in quiet hours.
const WHO: &str = "quiet";

/// Returns when the quiet hours that hold this instant end, as people of that zone read it.
fn quiet_until(run: &RunConfig, now: DateTime<Utc>) -> Option<String> {
    // All three were read when the configuration was checked.
    let hours: Vec<QuietHours> = run.quiet.iter().filter_map(|text| QuietHours::parse(text).ok()).collect();
    let local = now.with_timezone(&zone::parse(&run.zone).ok()?).naive_local();
    if !hours.iter().any(|span| span.contains(local)) {
        return None;
    }
    let end = quiet::next_loud(&hours, local);
    Some(end.map_or_else(|| "the configuration changes".into(), |end| end.format("%a %H:%M").to_string()))
}

/// Returns the instant at which a run is to end.
pub(super) fn planned_end(run: &RunConfig) -> Option<DateTime<Utc>> {
    until::parse(run.until.as_deref()?, zone::parse(&run.zone).ok()?).ok()
}

impl Life<'_> {
    /// Waits as long as quiet hours last, or until the run is to end.
    pub(super) async fn wait_for_loud_hours(&self) {
        let (setup, control) = (&self.stage.setup, &self.stage.control);
        let mut course = self.stage.course.clone();
        loop {
            let run = course.borrow_and_update().clone();
            let Some(end) = quiet_until(&run, setup.clock.now()) else { break };
            if control.is_ending() {
                break;
            }
            control.hold(WHO, format!("quiet hours until {end}, {} (run.quiet)", run.zone));
            setup.beat.on();
            tokio::select! {
                () = setup.clock.sleep(LOOK_EVERY) => {}
                Ok(()) = course.changed() => {}
                () = control.ending() => {}
            }
        }
        control.release(WHO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(quiet: &[&str], zone: &str) -> RunConfig {
        let quiet = quiet.iter().map(|text| (*text).to_owned()).collect();
        RunConfig { quiet, zone: zone.into(), until: Some("2027-01-31".into()), ..RunConfig::default() }
    }

    #[test]
    fn quiet_hours_are_those_of_the_zone() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let nights = run(&["22:00-06:00"], "Europe/Berlin");
        // In winter Berlin is an hour ahead.
        assert_eq!(quiet_until(&nights, at("2027-01-15T20:59:00Z")), None);
        assert_eq!(quiet_until(&nights, at("2027-01-15T21:00:00Z")).as_deref(), Some("Sat 06:00"));
        assert_eq!(quiet_until(&nights, at("2027-01-16T05:00:00Z")), None);
        let always = run(&["00:00-24:00"], "UTC");
        assert_eq!(quiet_until(&always, at("2027-01-15T20:00:00Z")).as_deref(), Some("the configuration changes"));
        assert_eq!(quiet_until(&run(&[], "UTC"), at("2027-01-15T20:00:00Z")), None);
    }

    #[test]
    fn a_day_ends_in_its_zone() {
        assert_eq!(planned_end(&run(&[], "Europe/Berlin")).unwrap().to_rfc3339(), "2027-01-31T22:59:59+00:00");
        assert_eq!(planned_end(&RunConfig::default()), None);
    }
}
