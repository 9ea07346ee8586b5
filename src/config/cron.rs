//! Cron expressions.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Reads an expression of five fields, of six with seconds first, or a name such as `@daily`.
pub fn parse(text: &str) -> Result<Cron, String> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(text)
        .map_err(|error| format!("{text:?} is not a cron expression: {error}"))
}
