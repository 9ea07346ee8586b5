//! What cannot be measured at the moment, and why. It is said once, and again when the reason changes or is gone; a value that
//! is not there stays away, so that nobody takes it for zero.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Sources that are remembered; further ones are not spoken of.
const SOURCES_MAX: usize = 256;

/// Reasons by source.
#[derive(Debug, Default)]
pub struct Missing(BTreeMap<String, String>);

/// What changed about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It cannot be read, for this reason.
    Lost(String),
    Back,
}

impl Missing {
    /// Notes what came of reading a source, and returns what is new about that.
    pub fn note<E: Display>(&mut self, source: &str, problem: Option<E>) -> Option<Change> {
        let Some(why) = problem.map(|why| why.to_string()) else {
            return self.0.remove(source).map(|_| Change::Back);
        };
        let full = self.0.len() >= SOURCES_MAX;
        match self.0.get_mut(source) {
            Some(before) if *before == why => None,
            Some(before) => {
                before.clone_from(&why);
                Some(Change::Lost(why))
            }
            None if full => None,
            None => {
                self.0.insert(source.to_owned(), why.clone());
                Some(Change::Lost(why))
            }
        }
    }

    /// Takes what was read of a source, and says what is new about it.
    pub fn take<T, E: Display>(&mut self, source: &str, read: Result<T, E>) -> Option<T> {
        let (value, problem) = match read {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error)),
        };
        match self.note(source, problem) {
            Some(Change::Lost(why)) => tracing::warn!("{source}: not measured, and missing from now on: {why}"),
            Some(Change::Back) => tracing::info!("{source}: measured again"),
            None => {}
        }
        value
    }

    /// Returns what is missing now, with the reasons.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_and_its_end_is_too() {
        let mut missing = Missing::default();
        assert_eq!(missing.note("a", None::<&str>), None);
        assert_eq!(missing.note("a", Some("refused")), Some(Change::Lost("refused".into())));
        assert_eq!(missing.note("a", Some("refused")), None);
        assert_eq!(missing.note("b", Some("refused")), Some(Change::Lost("refused".into())));
        assert_eq!(missing.note("a", Some("too slow")), Some(Change::Lost("too slow".into())));
        assert_eq!(missing.take::<u8, _>("b", Err("refused")), None);
        assert_eq!(missing.all().len(), 2);
        assert_eq!(missing.take::<_, &str>("a", Ok(5)), Some(5));
        assert_eq!(missing.note("a", None::<&str>), None);
        assert_eq!(missing.all().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn sources_are_bounded() {
        let mut missing = Missing::default();
        for n in 0..1000 {
            missing.note(&n.to_string(), Some("gone"));
        }
        assert_eq!(missing.all().len(), SOURCES_MAX);
    }
}
