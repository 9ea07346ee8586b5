//! Cron expressions, as people write them in a configuration. Pure; when a run begins is decided elsewhere.

use chrono::{Datelike, NaiveDate};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Fields of an expression of six; one of five has no seconds.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of the month", "month", "day of the week"];

const SHORT_FORMS: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Reads an expression of five fields, of six with seconds first, or a short form such as `@daily`.
pub fn parse(text: &str) -> Result<Cron, String> {
    let shown: String = text.chars().take(60).collect();
    let wrong = |why: String| format!("\"{}\" is no cron expression: {why}", shown.escape_debug());
    if text.len() > 256 || !text.chars().all(|c| c == ' ' || c == '\t' || c.is_ascii_graphic()) {
        return Err(wrong("it is too long, or holds characters that none has".into()));
    }
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if text.contains('@') {
        let known = SHORT_FORMS.iter().any(|form| form.eq_ignore_ascii_case(text.trim()));
        return if known { read(text).map_err(wrong) } else { Err(wrong("there is no such short form".into())) };
    }
    let names = match fields.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        0 => return Err(wrong("it is empty".into())),
        1 => return Err(wrong("it has 1 field".into())),
        count => return Err(wrong(format!("it has {count} fields"))),
    };
    for (at, field) in fields.iter().enumerate() {
        let alone: Vec<&str> = (0..fields.len()).map(|i| if i == at { *field } else { "*" }).collect();
        words(names[at], field)
            .and_then(|()| read(&alone.join(" ")).map(drop))
            .map_err(|why| wrong(format!("\"{field}\" does not do for the {}: {why}", names[at])))?;
    }
    let cron = read(text).map_err(wrong)?;
    if fires(&cron) { Ok(cron) } else { Err(wrong("no day matches it, it would never be due".into())) }
}

fn read(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(text).map_err(|why| {
        let why = why.to_string();
        let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
        why.trim_end_matches('.').to_lowercase()
    })
}

/// Checks the names in a field: the parser would take `JANFEB` for the twelfth month, and `MON` for a minute.
fn words(name: &str, field: &str) -> Result<(), String> {
    let known: &[&str] = match name {
        "month" => &MONTHS,
        "day of the week" => &DAYS,
        _ => &[],
    };
    for atom in field.to_ascii_uppercase().split([',', '-', '/', '#']) {
        let plain = atom.trim_start_matches('+');
        let plain = if name == "day of the week" { plain.strip_suffix('L').unwrap_or(plain) } else { plain };
        let rest = if name == "day of the month" { plain.trim_end_matches(['L', 'W']) } else { plain };
        if rest.chars().any(|c| c.is_ascii_alphabetic()) && !known.contains(&rest) {
            return Err(format!("\"{}\" is no name that may stand here", atom.to_ascii_lowercase()));
        }
    }
    Ok(())
}

/// Returns whether some day matches; days of the month and of the week meet in all ways within 28 years.
fn fires(cron: &Cron) -> bool {
    let first = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default();
    first.iter_days().take_while(|day| day.year() < 2028).any(|day| {
        let month = cron.pattern.month_match(day.month()).unwrap_or(false);
        month && cron.pattern.day_match(day.year(), day.month(), day.day()).unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        for good in [
            "30 2 * * Mon-Fri",
            "*/10 * * * * *",
            "@daily",
            "@Hourly",
            "0 0 L * *",
            "0 0 15W * *",
            "0 9 * * 1#1",
            "0 9 * * FRIL",
            "0 9 * jan,jul SUN",
            "0 0 29 2 *",
            "0 0 29 2 +Mon",
            " 5  4 * * * ",
            "0 0 ? * ?",
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good).err());
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (wrong, field) in [
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 32 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("61 * * * * *", "second"),
            ("MON * * * *", "minute"),
            ("* * * JANFEB *", "month"),
            ("* * * 1JAN *", "month"),
            ("* * * * Mo", "day of the week"),
            ("*/0 * * * *", "minute"),
        ] {
            let why = parse(wrong).expect_err("refused");
            assert!(why.contains(&format!("\"{wrong}\"")) && why.contains(&format!("for the {field}: ")), "{why}");
        }
    }

    #[test]
    fn what_never_fires_is_refused() {
        for never in ["0 0 31 2 *", "0 0 30 FEB *", "0 0 31 4,6,9,11 *"] {
            assert!(parse(never).expect_err("refused").contains("never be due"), "{never}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in ["", "@reboot", "* * * *", "* * * * * * *", "0 0 * * *\n", "@daily * * * *", "0 ０ * * *"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[0-9*/,#LW?+@A-Z -]{0,30}") {
            let _ = parse(&text);
        }
    }
}
