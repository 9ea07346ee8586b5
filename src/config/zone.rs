//! Names of time zones, as people write them in a configuration. It knows the zones that are compiled in, and no others.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::keys;

/// Reads the name of a time zone; the error quotes it, and names the one that was probably meant.
pub fn parse(text: &str) -> Result<Tz, String> {
    if let Ok(zone) = text.parse() {
        return Ok(zone);
    }
    let shown: String = text.chars().take(40).collect();
    let shown = shown.escape_debug();
    let city = |zone: &'static Tz| (zone.name().rsplit('/').next().unwrap_or_default(), zone.name());
    let near = keys::nearest(text, TZ_VARIANTS.iter().map(|zone| zone.name())).or_else(|| {
        let named = keys::nearest(text, TZ_VARIANTS.iter().map(|zone| city(zone).0))?;
        TZ_VARIANTS.iter().map(city).find(|(city, _)| *city == named).map(|(_, name)| name)
    });
    match near {
        Some(name) => Err(format!("\"{shown}\" is no time zone; did you mean \"{name}\"?")),
        None => Err(format!("\"{shown}\" is no time zone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_zone_has_a_suggestion() {
        assert_eq!(parse("Europe/Berlin"), Ok(Tz::Europe__Berlin));
        for (wrong, meant) in
            [("Europe/Berln", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("Berlin", "Europe/Berlin")]
        {
            let why = parse(wrong).expect_err("no zone");
            assert!(why.contains(&format!("did you mean \"{meant}\"?")), "{why}");
        }
        assert_eq!(parse("Mars/Olympus Mons"), Err("\"Mars/Olympus Mons\" is no time zone".into()));
    }
}
