//! One look at the timetable: what was due since the last one, what begins, and what becomes of the rest.

use chrono::{DateTime, TimeDelta, Utc};

use super::Timetable;
use crate::config::{Missed, Overlap};
use crate::engine::schedule::entry::{Because, Entry, History, Waiting};
use crate::engine::schedule::note::Note;

/// A clock that is set back by less waits until it has caught up, so that nothing runs twice; one that is set back further
/// was wrong before. The same limit as cron's.
const BELIEVED_BACK: TimeDelta = TimeDelta::hours(3);

/// What is to be done now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The schedule whose run begins.
    pub start: Option<String>,
    /// What else was decided, for the log.
    pub notes: Vec<Note>,
}

/// What was due of one schedule since the last look.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    /// Due when nobody was there.
    missed: u64,
    /// More than these were missed.
    more: bool,
    quiet: u64,
    on_time: u64,
    /// The first of those that are on time.
    first: Option<DateTime<Utc>>,
}

/// The notes on one schedule.
struct Notes<'a> {
    schedule: &'a str,
    notes: &'a mut Vec<Note>,
}

impl Notes<'_> {
    fn skipped(&mut self, history: &mut History, count: u64, because: Because) {
        self.skipped_or_more(history, count, false, because);
    }

    fn skipped_or_more(&mut self, history: &mut History, count: u64, more: bool, because: Because) {
        if count > 0 {
            history.skipped = history.skipped.saturating_add(count);
            self.notes.push(Note::Skipped { schedule: self.schedule.to_owned(), count, more, because });
        }
    }

    fn waits(&mut self, history: &mut History, since: DateTime<Utc>, because: Because) {
        history.waiting = Some(Waiting { since_ms: since.timestamp_millis(), because });
        self.notes.push(Note::Waits { schedule: self.schedule.to_owned(), because });
    }
}

impl Timetable {
    /// Decides what begins now; `busy` says that a run is under way.
    ///
    /// It is asked during runs too, or else what is due meanwhile counts as missed. A decision to start counts as a run.
    pub fn due(&mut self, now: DateTime<Utc>, busy: bool) -> Decision {
        let mut notes = Vec::new();
        let mut looks = Vec::with_capacity(self.entries.len());
        for ((name, entry), history) in self.entries.iter().zip(self.state.values_mut()) {
            let mut notes = Notes { schedule: name, notes: &mut notes };
            believe(&mut notes, history, now);
            let look = look(entry, history, now, self.grace);
            settle_waiting(&mut notes, entry, history, now);
            settle_lost(&mut notes, entry, history, &look, now);
            history.seen_ms = history.seen().max(now).timestamp_millis();
            looks.push(look);
        }
        let start = if busy { None } else { self.choose(&looks, now) };
        for (((name, entry), history), look) in self.entries.iter().zip(self.state.values_mut()).zip(&looks) {
            let mut notes = Notes { schedule: name, notes: &mut notes };
            let rest = if start.as_ref() == Some(name) {
                begin(&mut notes, history, look, now)
            } else {
                Rest { left: look.on_time, may_wait: true, because: Because::Overlap }
            };
            settle_rest(&mut notes, entry, history, look, rest, now);
            let end = entry.end_after(history, history.seen()).filter(|_| history.waiting.is_none());
            if let Some(end) = end.filter(|_| history.ended.is_none()) {
                notes.notes.push(Note::Ended { schedule: name.clone(), end });
            }
            history.ended = end;
        }
        Decision { start, notes }
    }

    /// Returns whose run begins: one that was asked for, else the one that was due first, else the first by name.
    fn choose(&self, looks: &[Look], now: DateTime<Utc>) -> Option<String> {
        let rank = |entry: &Entry, history: &History, look: &Look| match history.waiting {
            Some(Waiting { because: Because::Asked, since_ms }) => Some((0, since_ms)),
            Some(waiting) if !entry.calendar.is_quiet(now) => Some((1, waiting.since_ms)),
            _ => look.first.map(|first| (1, first.timestamp_millis())),
        };
        let ranked = self.each().zip(looks);
        let ranked = ranked.filter_map(|((name, entry, history), look)| Some((rank(entry, history, look)?, name)));
        ranked.min().map(|(_, name)| name.to_owned())
    }
}

/// Takes over a clock that was set back so far that waiting for it would silence a schedule.
fn believe(notes: &mut Notes<'_>, history: &mut History, now: DateTime<Utc>) {
    let from = history.seen();
    if now < from - BELIEVED_BACK {
        history.seen_ms = now.timestamp_millis();
        notes.notes.push(Note::ClockBack { schedule: notes.schedule.to_owned(), from, to: now });
    }
}

/// Counts what was due since the last look.
fn look(entry: &Entry, history: &History, now: DateTime<Utc>, grace: TimeDelta) -> Look {
    let mut look = Look::default();
    let seen = history.seen();
    let late = now - grace;
    (look.missed, look.more) = entry.count(history, seen, late);
    // What is on time is within the grace, which bounds its number.
    let mut at = seen.max(late);
    while let Some(next) = entry.next(history, at).filter(|next| *next <= now) {
        at = next;
        if entry.calendar.is_quiet(next) {
            look.quiet += 1;
        } else {
            look.on_time += 1;
            look.first.get_or_insert(next);
        }
    }
    look
}

/// Gives up a waiting run whose schedule has ended, or that waited for another run until quiet hours began.
fn settle_waiting(notes: &mut Notes<'_>, entry: &Entry, history: &mut History, now: DateTime<Utc>) {
    let Some(waiting) = history.waiting else { return };
    let why = if entry.end_at(history, now).is_some() {
        Because::Ended
    } else if waiting.because == Because::Overlap && entry.config.missed == Missed::Skip && entry.calendar.is_quiet(now)
    {
        Because::QuietHours
    } else {
        return;
    };
    history.waiting = None;
    notes.skipped(history, 1, why);
}

/// Decides on runs that were due in down-time or in quiet hours: none takes place, or one makes up for all.
fn settle_lost(notes: &mut Notes<'_>, entry: &Entry, history: &mut History, look: &Look, now: DateTime<Utc>) {
    let mut missed = look.missed;
    let mut quiet = look.quiet;
    if entry.config.missed == Missed::Once && history.waiting.is_none() && entry.end_at(history, now).is_none() {
        if missed > 0 {
            missed -= 1;
            notes.waits(history, now, Because::DownTime);
        } else if quiet > 0 {
            quiet -= 1;
            notes.waits(history, now, Because::QuietHours);
        }
    }
    notes.skipped_or_more(history, missed, look.more, Because::DownTime);
    notes.skipped(history, quiet, Because::QuietHours);
}

/// What is left of the runs on time when the one that begins is chosen.
struct Rest {
    left: u64,
    may_wait: bool,
    because: Because,
}

/// Counts the run that begins and returns what is left to decide on.
fn begin(notes: &mut Notes<'_>, history: &mut History, look: &Look, now: DateTime<Utc>) -> Rest {
    let waited = history.waiting.take();
    // It waited for no time at all.
    let ours = |note: &Note| matches!(note, Note::Waits { schedule, .. } if schedule == notes.schedule);
    notes.notes.retain(|note| !ours(note));
    history.runs = history.runs.saturating_add(1);
    history.last_ms = Some(now.timestamp_millis());
    let because = if look.missed > 0 { Because::DownTime } else { Because::Overlap };
    let Some(waiting) = waited else {
        // Of several that are seen at once, one is enough.
        history.first_ms.get_or_insert(look.first.unwrap_or(now).timestamp_millis());
        return Rest { left: look.on_time.saturating_sub(1), may_wait: false, because };
    };
    history.first_ms.get_or_insert(now.timestamp_millis());
    let makes_up = matches!(waiting.because, Because::DownTime | Because::QuietHours);
    if makes_up && look.on_time > 0 {
        // The same run is the one that is due now.
        notes.skipped(history, 1, waiting.because);
    }
    let merged = u64::from(makes_up).min(look.on_time);
    Rest { left: look.on_time - merged, may_wait: !makes_up && look.missed == 0, because }
}

/// Decides on runs that are due while another one is under way, or begins in this look.
fn settle_rest(
    notes: &mut Notes<'_>,
    entry: &Entry,
    history: &mut History,
    look: &Look,
    rest: Rest,
    now: DateTime<Utc>,
) {
    let mut left = rest.left;
    let waits = rest.may_wait && entry.config.overlap == Overlap::Queue && history.waiting.is_none();
    if left > 0 && waits && entry.end_at(history, now).is_none() {
        left -= 1;
        notes.waits(history, look.first.unwrap_or(now), Because::Overlap);
    }
    notes.skipped(history, left, rest.because);
}
