//! What holds for any schedules through any weeks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{GRACE, at, hourly};
use super::*;
use crate::config::{Missed, Overlap, ScheduleConfig};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes while the timetable is asked every few seconds.
    Live {
        seconds: i64,
    },
    /// Time passes while nobody asks; then the state comes back from its stored form.
    Down {
        seconds: i64,
    },
    RunEnds,
    Trigger(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..4000_i64).prop_map(|seconds| Event::Live { seconds }),
        2 => (1..200_000_i64).prop_map(|seconds| Event::Down { seconds }),
        4 => Just(Event::RunEnds),
        1 => (0..4_usize).prop_map(Event::Trigger),
    ]
}

fn schedule() -> impl Strategy<Value = ScheduleConfig> {
    let cron = prop_oneof![
        Just("0 * * * *"),
        Just("*/7 * * * *"),
        Just("30 2 * * *"),
        Just("0,1 */3 * * *"),
        Just("*/30 * * * * *"),
    ];
    let quiet = prop_oneof![Just(None), Just(Some("22:00-06:00")), Just(Some("Thu,Sat 09:10-17:05"))];
    let runs = prop_oneof![3 => Just(None), 1 => (0..5_u64).prop_map(Some)];
    (cron, any::<bool>(), any::<bool>(), quiet, runs).prop_map(|(cron, queue, once, quiet, runs)| ScheduleConfig {
        cron: cron.into(),
        zone: "Europe/Berlin".into(),
        overlap: if queue { Overlap::Queue } else { Overlap::Skip },
        missed: if once { Missed::Once } else { Missed::Skip },
        quiet: quiet.map(str::to_owned).into_iter().collect(),
        runs,
        ..hourly()
    })
}

/// A daemon that does what the timetable says.
struct Daemon {
    schedules: Schedules,
    table: Timetable,
    now: DateTime<Utc>,
    running: Option<String>,
    begun: BTreeMap<String, u64>,
    asked: BTreeMap<String, u64>,
}

impl Daemon {
    fn new(configs: Vec<ScheduleConfig>) -> Self {
        let named = |(n, config): (usize, _)| (format!("s{n}"), config);
        let schedules: Schedules = configs.into_iter().enumerate().map(named).collect();
        let now = at(1, "00:00:00");
        let table = Timetable::new(&schedules, State::new(), now, GRACE).unwrap();
        Self { schedules, table, now, running: None, begun: BTreeMap::new(), asked: BTreeMap::new() }
    }

    fn look(&mut self) {
        let before = self.table.state.clone();
        let decision = self.table.due(self.now, self.running.is_some());
        let Some(name) = decision.start else { return };
        assert!(self.running.is_none(), "two runs at once");
        let asked = before[&name].waiting.is_some_and(|waiting| waiting.because == Because::Asked);
        // A timer may be late; what was due before the quiet hours then begins in them.
        let quiet = |late| self.table.entries[&name].calendar.is_quiet(self.now - late);
        assert!(asked || !quiet(TimeDelta::zero()) || !quiet(GRACE), "{name} began in quiet hours");
        *self.begun.entry(name.clone()).or_default() += 1;
        self.running = Some(name);
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Live { seconds } => {
                let end = self.now + TimeDelta::seconds(*seconds);
                while self.now < end {
                    self.now = (self.now + TimeDelta::seconds(20)).min(end);
                    self.look();
                }
            }
            Event::Down { seconds } => self.comes_back(*seconds),
            Event::RunEnds => {
                self.running = None;
                self.look();
            }
            Event::Trigger(n) => {
                let name = format!("s{n}");
                let waits = self.table.state.get(&name).is_some_and(|history| history.waiting.is_some());
                if self.table.trigger(Some(&name), self.now).is_ok() && !waits {
                    *self.asked.entry(name).or_default() += 1;
                }
                self.look();
            }
        }
    }

    /// Is down for a while, and then lets everything begin that wants to.
    fn comes_back(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
        let stored = serde_json::to_string(self.table.state()).unwrap();
        let stored: State = serde_json::from_str(&stored).unwrap();
        assert_eq!(&stored, self.table.state());
        self.table = Timetable::new(&self.schedules, stored, self.now, GRACE).unwrap();
        let (before, waited) = (self.begun.clone(), self.table.state.clone());
        for _ in 0..10 {
            self.running = None;
            self.look();
        }
        for (name, history) in waited {
            let begun = self.begun.get(&name).unwrap_or(&0) - before.get(&name).unwrap_or(&0);
            // One that waited before the short pause may be followed by the one that is due right now.
            let short = seconds <= GRACE.num_seconds() && history.waiting.is_some();
            assert!(begun <= 1 + u64::from(short), "{name} began {begun} times after {seconds} s");
        }
    }

    /// Holds the counts against the instants that the calendar names.
    fn settle(&self) {
        for (name, entry, history) in self.table.each() {
            assert_eq!(history.runs, *self.begun.get(name).unwrap_or(&0));
            assert!(entry.config.runs.is_none_or(|limit| history.runs <= limit), "{name} ran too often");
            if entry.config.runs.is_some() {
                continue;
            }
            let mut due = *self.asked.get(name).unwrap_or(&0);
            let mut at = at(1, "00:00:00");
            while let Some(next) = entry.calendar.next_after(at).filter(|next| *next <= self.now) {
                due += 1;
                at = next;
            }
            let waits = u64::from(history.waiting.is_some());
            assert_eq!(due, history.runs + history.skipped + waits, "{name}: a run was lost, or counted twice");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn through_any_weeks(
        configs in prop::collection::vec(schedule(), 1..4),
        events in prop::collection::vec(event(), 1..24),
    ) {
        let mut daemon = Daemon::new(configs);
        for event in &events {
            daemon.happens(event);
        }
        daemon.settle();
        let status = daemon.table.status();
        for (status, (name, next)) in status.iter().zip(daemon.table.next_looks()) {
            prop_assert!(next > daemon.now, "{name} wants to be asked at {next} again ({status:?})");
        }
    }
}
