//! When the steps of a load are meant to start. With a rate they have fixed times, whether the steps before them were quick or
//! slow: one that starts late was late for whoever waited for it, and none is left out to catch up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::sync_step::pause;
use crate::model::step::Action;

/// The intended starts of a database's steps, from the beginning of a load on; a load that is taken up again begins anew.
pub struct Tempo {
    begun: Instant,
    /// Steps per second; none where each follows the one before as fast as it can.
    rate: Option<f64>,
    steps: u32,
    /// Waits that are steps themselves: what follows them is meant to be that much later.
    waits: Duration,
}

impl Tempo {
    /// Begins now.
    pub fn begin(rate: Option<f64>) -> Self {
        Self { begun: Instant::now(), rate, steps: 0, waits: Duration::ZERO }
    }

    /// Waits for the intended start of the next step and says how late it is by now; `None` when the run is to stop.
    pub fn start(&mut self, action: Action, stop: &AtomicBool) -> Option<Duration> {
        let late = match self.next(action) {
            Some(due) => {
                pause(due.saturating_duration_since(Instant::now()), stop);
                Instant::now().saturating_duration_since(due)
            }
            None => Duration::ZERO,
        };
        (!stop.load(Ordering::Relaxed)).then_some(late)
    }

    /// Returns when the next step is meant to start; without a rate, as soon as it can.
    fn next(&mut self, action: Action) -> Option<Instant> {
        let due = self.begun + Duration::from_secs_f64(f64::from(self.steps) / self.rate?) + self.waits;
        self.steps += 1;
        if let Action::Wait { ms } = action {
            self.waits += Duration::from_millis(ms);
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_fixed_times_and_planned_waits_move_them() {
        let mut tempo = Tempo::begin(Some(4.0));
        let begun = tempo.begun;
        let actions = [Action::Send, Action::Receive, Action::Wait { ms: 1_000 }, Action::Receive, Action::Send];
        let due = actions.map(|action| (tempo.next(action).unwrap() - begun).as_millis());
        assert_eq!(due, [0, 250, 500, 1_750, 2_000]);
        let mut free = Tempo::begin(None);
        assert_eq!(actions.map(|action| free.next(action)), [None; 5]);
    }

    #[test]
    fn a_step_that_starts_late_says_so_and_the_next_ones_keep_their_times() {
        let stop = AtomicBool::new(false);
        let mut tempo = Tempo::begin(Some(1.0));
        tempo.begun = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let late: Vec<u64> = (0..3).map(|_| tempo.start(Action::Send, &stop).unwrap().as_secs()).collect();
        // This thread may have waited meanwhile.
        assert!(late.iter().zip([10, 9, 8]).all(|(late, least)| *late >= least), "{late:?}");
        assert!(late.is_sorted_by(|a, b| *a <= b + 2), "{late:?}");
        assert_eq!(Tempo::begin(None).start(Action::Send, &stop), Some(Duration::ZERO));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(tempo.start(Action::Send, &stop), None);
        // Nobody waits out a step that is far away once the run is to stop.
        assert_eq!(Tempo::begin(Some(0.001)).start(Action::Send, &stop), None);
    }
}
