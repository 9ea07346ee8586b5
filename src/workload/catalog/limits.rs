//! How much the catalog may be asked for, and the environment variables by which people asked the original for it.

/// Clients that there may be unless it is unbounded.
pub const CLIENTS_MAX: u32 = 50;
/// Seconds that a scenario may take unless it is unbounded.
pub const SECONDS_MAX: u32 = 300;
/// Clients and seconds that there may be even then: those of the settings.
pub const UNBOUNDED_MAX: (u32, u32) = (1_000, 604_800);
/// The variable that turned the original on.
pub const RUN: &str = "RUN_STRESS_TESTS";
/// The variable with the number of clients.
pub const CLIENTS: &str = "STRESS_TEST_CLIENTS";
/// The variable with the length of a scenario.
pub const SECONDS: &str = "STRESS_TEST_DURATION_SECS";

/// What the environment asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnvSettings {
    /// Somebody wants nothing to run. The original ran only if it was asked to; here the command asks.
    pub off: bool,
    pub clients: Option<u32>,
    pub seconds: Option<u32>,
}

/// Returns what is wrong with the numbers of clients and seconds, all at once.
pub fn limits(clients: u32, seconds: u32, unbounded: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let (clients_max, seconds_max) = if unbounded { UNBOUNDED_MAX } else { (CLIENTS_MAX, SECONDS_MAX) };
    if !(1..=clients_max).contains(&clients) {
        let more = if clients > clients_max && clients <= UNBOUNDED_MAX.0 { ", or add --unbounded" } else { "" };
        problems.push(format!(
            "The catalog takes 1 to {clients_max} clients, not {clients}; choose a number of these{more}."
        ));
    }
    if seconds == 0 {
        problems.push("The scenarios of the catalog last at least 1 second, not 0; choose a longer time.".into());
    } else if seconds > seconds_max {
        let more = if seconds <= UNBOUNDED_MAX.1 { ", or add --unbounded" } else { "" };
        problems.push(format!(
            "The scenarios of the catalog last 1 to {seconds_max} seconds, not {seconds}; choose a shorter time{more}."
        ));
    }
    problems
}

/// Reads the variables of the original; all that is wrong with them is told at once.
pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<EnvSettings, Vec<String>> {
    let mut problems = Vec::new();
    let mut number = |name: &str| {
        let text = lookup(name).filter(|text| !text.trim().is_empty())?;
        match text.trim().parse::<u32>() {
            Ok(number) => Some(number),
            Err(_) => {
                problems
                    .push(format!("{name} must be a whole number, not \"{}\"; correct it or unset it.", shown(&text)));
                None
            }
        }
    };
    let (clients, seconds) = (number(CLIENTS), number(SECONDS));
    let run = lookup(RUN).unwrap_or_default();
    let off = match run.trim().to_ascii_lowercase().as_str() {
        "" | "1" | "true" | "yes" | "on" => false,
        "0" | "false" | "no" | "off" => true,
        _ => {
            problems.push(format!("{RUN} must be 1 or 0, not \"{}\"; correct it or unset it.", shown(&run)));
            false
        }
    };
    if problems.is_empty() { Ok(EnvSettings { off, clients, seconds }) } else { Err(problems) }
}

/// Returns the start of a value, for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<EnvSettings, Vec<String>> {
        from_env(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_variables_of_the_original_are_read() {
        assert_eq!(read(&[]), Ok(EnvSettings::default()));
        assert_eq!(
            read(&[(RUN, "1"), (CLIENTS, "20"), (SECONDS, " 60 ")]),
            Ok(EnvSettings { off: false, clients: Some(20), seconds: Some(60) })
        );
        assert_eq!(read(&[(RUN, ""), (CLIENTS, "")]), Ok(EnvSettings::default()));
        for (text, off) in [("true", false), ("Yes", false), ("0", true), ("False", true), (" no ", true)] {
            assert_eq!(read(&[(RUN, text)]), Ok(EnvSettings { off, ..EnvSettings::default() }), "{text}");
        }
    }

    #[test]
    fn bad_values_are_told_all_at_once() {
        let problems = read(&[(RUN, "maybe"), (CLIENTS, "-3"), (SECONDS, "half\nan hour")]).unwrap_err();
        assert_eq!(
            problems,
            [
                "STRESS_TEST_CLIENTS must be a whole number, not \"-3\"; correct it or unset it.",
                "STRESS_TEST_DURATION_SECS must be a whole number, not \"half an hour\"; correct it or unset it.",
                "RUN_STRESS_TESTS must be 1 or 0, not \"maybe\"; correct it or unset it.",
            ]
        );
        assert_eq!(read(&[(CLIENTS, "4294967296")]).unwrap_err().len(), 1);
    }

    #[test]
    fn limits_are_those_of_the_original_unless_they_are_lifted() {
        for (clients, seconds, unbounded, problems) in [
            (1, 1, false, 0),
            (50, 300, false, 0),
            (0, 0, false, 2),
            (51, 301, false, 2),
            (51, 301, true, 0),
            (1_000, 604_800, true, 0),
            (1_001, 604_801, true, 2),
            (0, 0, true, 2),
        ] {
            assert_eq!(limits(clients, seconds, unbounded).len(), problems, "{clients} {seconds} {unbounded}");
        }
        assert!(limits(51, 301, false).iter().all(|problem| problem.contains("--unbounded")));
        assert!(limits(1_001, u32::MAX, false).iter().all(|problem| !problem.contains("--unbounded")));
    }
}
