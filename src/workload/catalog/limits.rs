//! How much the catalog may be asked for, and the environment variables by which people asked the original for it.

/// Clients that there may be.
pub const CLIENTS_MAX: u32 = 50;
/// Seconds that a scenario may take unless it is unbounded.
pub const SECONDS_MAX: u32 = 300;
/// The variable that turned the original on.
pub const RUN: &str = "RUN_STRESS_TESTS";
/// The variable with the number of clients.
pub const CLIENTS: &str = "STRESS_TEST_CLIENTS";
/// The variable with the length of a scenario.
pub const SECONDS: &str = "STRESS_TEST_DURATION_SECS";

/// What the environment asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnvSettings {
    /// The original ran only if it was asked to.
    pub opted_in: bool,
    pub clients: Option<u32>,
    pub seconds: Option<u32>,
}

/// Returns what is wrong with the numbers of clients and seconds, all at once.
pub fn limits(clients: u32, seconds: u32, unbounded: bool) -> Vec<String> {
    let mut problems = Vec::new();
    if !(1..=CLIENTS_MAX).contains(&clients) {
        problems
            .push(format!("The catalog takes 1 to {CLIENTS_MAX} clients, not {clients}; choose a number of these."));
    }
    if seconds == 0 {
        problems.push("The scenarios of the catalog last at least 1 second, not 0; choose a longer time.".into());
    } else if seconds > SECONDS_MAX && !unbounded {
        problems.push(format!(
            "The scenarios of the catalog last 1 to {SECONDS_MAX} seconds, not {seconds}; choose a shorter time, or add --unbounded."
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
    let opted_in = match lookup(RUN).as_deref().map(str::trim) {
        None | Some("" | "0") => false,
        Some("1") => true,
        Some(other) => {
            problems.push(format!("{RUN} must be 1 or 0, not \"{}\"; correct it or unset it.", shown(other)));
            false
        }
    };
    if problems.is_empty() { Ok(EnvSettings { opted_in, clients, seconds }) } else { Err(problems) }
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
            Ok(EnvSettings { opted_in: true, clients: Some(20), seconds: Some(60) })
        );
        assert_eq!(read(&[(RUN, "0"), (CLIENTS, "")]), Ok(EnvSettings::default()));
    }

    #[test]
    fn bad_values_are_told_all_at_once() {
        let problems = read(&[(RUN, "yes"), (CLIENTS, "-3"), (SECONDS, "half\nan hour")]).unwrap_err();
        assert_eq!(
            problems,
            [
                "STRESS_TEST_CLIENTS must be a whole number, not \"-3\"; correct it or unset it.",
                "STRESS_TEST_DURATION_SECS must be a whole number, not \"half an hour\"; correct it or unset it.",
                "RUN_STRESS_TESTS must be 1 or 0, not \"yes\"; correct it or unset it.",
            ]
        );
        assert_eq!(read(&[(CLIENTS, "4294967296")]).unwrap_err().len(), 1);
    }

    #[test]
    fn limits_are_those_of_the_original() {
        for (clients, seconds, unbounded, problems) in [
            (1, 1, false, 0),
            (50, 300, false, 0),
            (0, 0, false, 2),
            (51, 301, false, 2),
            (51, 301, true, 1),
            (10, u32::MAX, true, 0),
            (10, 0, true, 1),
        ] {
            assert_eq!(limits(clients, seconds, unbounded).len(), problems, "{clients} {seconds} {unbounded}");
        }
        assert!(limits(10, 301, false)[0].contains("--unbounded"));
    }
}
