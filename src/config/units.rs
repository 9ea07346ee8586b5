//! Spans of time as people write them: `250ms`, `15m`, `1h30m`, `48d`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// Returns a span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Returns a span of milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Returns the span for timers.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads a span such as `1h30m`.
    pub fn parse(text: &str) -> Result<Self, String> {
        const HELP: &str = "write a time such as \"250ms\", \"15m\", \"1h30m\" or \"48d\"";
        let mut total_ms: u64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(HELP.into());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u64 = rest[..digits].parse().map_err(|_| HELP.to_owned())?;
            rest = &rest[digits..];
            let unit = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let ms = match &rest[..unit] {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(HELP.into()),
            };
            rest = &rest[unit..];
            total_ms = number
                .checked_mul(ms)
                .and_then(|n| total_ms.checked_add(n))
                .filter(|n| *n <= 3650 * 86_400_000)
                .ok_or("a time of more than 10 years is not accepted")?;
        }
        Ok(Self::from_millis(total_ms))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut ms = self.0.as_millis() as u64;
        if ms == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if ms >= size {
                write!(f, "{}{unit}", ms / size)?;
                ms %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
