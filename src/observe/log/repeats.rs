//! Lines that repeat: the first ones are written, the rest is counted and told once. Bounded, and pure but for the time that
//! it is given.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3;

use super::entry::{Entry, Value};
use crate::config::Span;

/// Lines of one kind that are written within one window.
const WRITTEN_MAX: u32 = 5;
/// Kinds of lines that are counted at one time.
const KINDS_MAX: usize = 512;
/// Bytes of a line that are kept until it is told how often it was repeated.
const KEPT_MAX: usize = 512;

/// What is counted of each kind of line.
pub(super) struct Repeats {
    window: Duration,
    kinds: HashMap<u64, Kind>,
}

struct Kind {
    since: Instant,
    written: u32,
    repeated: u64,
    /// The last line that was only counted.
    last: Option<Box<Entry>>,
}

impl Repeats {
    /// Counts within windows of this length; zero writes every line.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, kinds: HashMap::new() }
    }

    /// Changes the length of windows that begin from now on.
    pub(super) fn set_window(&mut self, window: Duration) {
        self.window = window;
    }

    /// Returns the lines to write for this one: itself unless it is only counted, and reports of what was counted before.
    pub(super) fn look(&mut self, entry: Entry, now: Instant) -> Vec<Entry> {
        if self.window.is_zero() {
            return vec![entry];
        }
        let mut out = self.over(now);
        let key = key(&entry);
        if !self.kinds.contains_key(&key) && self.kinds.len() == KINDS_MAX {
            let oldest = self.kinds.iter().min_by_key(|(_, kind)| kind.since).map(|(key, _)| *key);
            let gone = oldest.and_then(|key| self.kinds.remove(&key));
            out.extend(gone.and_then(|kind| kind.report(self.window)));
        }
        let kind = self.kinds.entry(key).or_insert(Kind { since: now, written: 0, repeated: 0, last: None });
        if kind.written < WRITTEN_MAX {
            kind.written += 1;
            out.push(entry);
        } else {
            kind.repeated += 1;
            kind.last = Some(Box::new(entry.clipped(KEPT_MAX)));
        }
        out
    }

    /// Returns reports of the windows that are over.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Entry> {
        let window = self.window;
        self.ended(|kind| now.saturating_duration_since(kind.since) >= window)
    }

    /// Returns reports of everything that was counted, because the log ends.
    pub(super) fn close(&mut self) -> Vec<Entry> {
        self.ended(|_| true)
    }

    fn ended(&mut self, is_over: impl Fn(&Kind) -> bool) -> Vec<Entry> {
        let window = self.window;
        let mut ended: Vec<Kind> = self.kinds.extract_if(|_, kind| is_over(kind)).map(|(_, kind)| kind).collect();
        ended.sort_by_key(|kind| kind.since);
        ended.into_iter().filter_map(|kind| kind.report(window)).collect()
    }
}

impl Kind {
    fn report(self, window: Duration) -> Option<Entry> {
        let mut entry = *self.last?;
        let times = if self.repeated == 1 { "time" } else { "times" };
        let within = Span::from_millis(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
        entry.message.push_str(&format!(" (repeated {} {times} within {within})", self.repeated));
        entry.fields.push(("repeated".into(), Value::Number(self.repeated.into())));
        Some(entry)
    }
}

/// Returns the kind of a line: where it comes from, and its texts without what differs from one to the next.
fn key(entry: &Entry) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(entry.target.as_bytes());
    hash.update(&entry.line.unwrap_or_default().to_le_bytes());
    hash.update(&[entry.level as u8]);
    hash.update(folded(&entry.message).as_bytes());
    for (name, value) in &entry.fields {
        if let Value::String(text) = value {
            hash.update(name.as_bytes());
            hash.update(folded(text).as_bytes());
        }
    }
    hash.digest()
}

/// Returns the text with every word that holds a digit replaced: numbers, ids, addresses.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        if word.bytes().any(|b| b.is_ascii_digit()) {
            out.push('#');
            out.extend(word.chars().next_back().filter(|c| !c.is_alphanumeric()));
        } else {
            out.push_str(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::entry::Level;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn line(message: &str) -> Entry {
        Entry::new(Level::Error, "soakd::engine::crew", message)
    }

    fn texts(entries: Vec<Entry>) -> Vec<String> {
        entries.into_iter().map(|entry| entry.message).collect()
    }

    #[test]
    fn repeats_beyond_the_first_are_counted_and_told_once() {
        let (mut repeats, start) = (Repeats::new(MINUTE), Instant::now());
        let written: usize =
            (0..10_000).map(|n| repeats.look(line(&format!("[DB{}] row db1_r{n} is lost", n % 4)), start).len()).sum();
        assert_eq!(written, 5);
        assert!(repeats.over(start + MINUTE / 2).is_empty(), "the window is not over");
        let told = texts(repeats.over(start + MINUTE));
        assert_eq!(told, ["[DB3] row db1_r9999 is lost (repeated 9995 times within 1m)"]);
        assert!(repeats.over(start + MINUTE * 2).is_empty(), "told once");
        assert_eq!(texts(repeats.look(line("[DB1] row db1_r1 is lost"), start + MINUTE * 2)).len(), 1, "a new window");
    }

    #[test]
    fn lines_that_differ_in_more_than_numbers_are_not_counted_together() {
        let (mut repeats, start) = (Repeats::new(MINUTE), Instant::now());
        for word in ["one", "two", "three", "four", "five", "six", "seven"] {
            assert_eq!(repeats.look(line(word), start).len(), 1);
        }
        let with = |text: &str| {
            let mut entry = line("request failed");
            entry.fields.push(("error".into(), Value::String(text.into())));
            entry
        };
        for _ in 0..9 {
            repeats.look(with("timed out"), start);
        }
        assert_eq!(repeats.look(with("no such table"), start).len(), 1, "another reason is another kind");
    }

    #[test]
    fn few_lines_and_a_window_of_zero_are_left_alone() {
        let (mut repeats, start) = (Repeats::new(MINUTE), Instant::now());
        assert_eq!((0..5).map(|_| repeats.look(line("same"), start).len()).sum::<usize>(), 5);
        assert!(repeats.close().is_empty(), "nothing was left out");
        let mut all = Repeats::new(Duration::ZERO);
        assert_eq!((0..50).map(|_| all.look(line("same"), start).len()).sum::<usize>(), 50);
    }

    #[test]
    fn kinds_are_bounded_and_what_is_dropped_is_told() {
        let (mut repeats, start) = (Repeats::new(MINUTE), Instant::now());
        for _ in 0..7 {
            repeats.look(line("first"), start);
        }
        let letters = |n: usize| -> String { format!("{n:05}").bytes().map(|b| char::from(b - b'0' + b'a')).collect() };
        let later = start + Duration::from_millis(1);
        let told: Vec<String> =
            (0..3 * KINDS_MAX).flat_map(|n| texts(repeats.look(line(&letters(n)), later))).collect();
        assert_eq!(repeats.kinds.len(), KINDS_MAX);
        assert_eq!(told.iter().filter(|text| text.contains("repeated 2 times")).count(), 1);
        assert_eq!(told.len(), 3 * KINDS_MAX + 1, "no line of its own kind is lost");
    }

    #[test]
    fn the_end_of_the_log_tells_what_was_counted() {
        let (mut repeats, start) = (Repeats::new(MINUTE), Instant::now());
        for _ in 0..6 {
            repeats.look(line("same"), start);
        }
        assert_eq!(texts(repeats.close()), ["same (repeated 1 time within 1m)"]);
    }
}
