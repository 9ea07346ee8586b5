//! Live progress for a person: a bar on a terminal, plain lines otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::event::RunEvent;
use crate::model::record::Phase;
use crate::model::status::DaemonState;
use crate::model::verdict::Verdict;

/// Time between two plain lines within a phase.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows what the engine tells.
pub struct Progress {
    bar: Option<ProgressBar>,
    cycle: u64,
    phase: Phase,
    steps: u64,
    last: (Instant, u64),
    rate: f64,
    last_line: Instant,
}

impl Progress {
    /// Shows a bar if standard error is a terminal and nobody asked for plain lines.
    pub fn new(plain: bool) -> Self {
        let terminal = !plain && std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(8));
            let style = ProgressStyle::with_template("{prefix} [{bar:24}] {pos}/{len} {wide_msg}");
            bar.set_style(style.map_or_else(|_| ProgressStyle::default_bar(), |s| s.progress_chars("=> ")));
            bar
        });
        let now = Instant::now();
        Self { bar, cycle: 0, phase: Phase::Load, steps: 0, last: (now, 0), rate: 0.0, last_line: now }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { record, resumed_at, steps_recovered } => {
                let (run, seed) = (&record.run, record.seed);
                let short = run.get(..13).unwrap_or(run);
                self.line(&match resumed_at {
                    None => format!("run {short} starts, seed {seed}"),
                    Some((cycle, phase)) => format!(
                        "run {short} goes on in cycle {cycle}, phase {}, seed {seed} ({steps_recovered} steps were done but not yet counted)",
                        phase.word()
                    ),
                });
            }
            RunEvent::Phase { cycle, phase, steps } => self.phase(*cycle, *phase, *steps),
            RunEvent::Progress { steps_done, rows, errors } => self.progress(*steps_done, *rows, *errors),
            RunEvent::Finding(finding) if !finding.tolerated => self.line(&format!("  finding: {}", finding.message)),
            RunEvent::Cycle(cycle) => {
                let seconds = (cycle.ended_ms - cycle.started_ms) as f64 / 1000.0;
                self.line(&format!(
                    "cycle {}: {} in {seconds:.1} s ({} steps, {} rows at the end, {} errors)",
                    cycle.cycle, cycle.verdict, cycle.steps, cycle.rows_final, cycle.errors
                ));
                for check in cycle.checks.iter().filter(|c| c.verdict != Some(Verdict::Pass)) {
                    let word = check.verdict.map_or_else(|| "NOT EXERCISED".to_owned(), |v| v.to_string());
                    self.line(&format!("  {word}: {}: {}", check.check, check.summary));
                }
            }
            RunEvent::Ended { because, .. } => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
                self.line(because);
            }
            RunEvent::State(DaemonState::Paused, because) => self.line(&format!("paused: {}", because.join("; "))),
            RunEvent::Finding(_)
            | RunEvent::Steps(_)
            | RunEvent::Incident(..)
            | RunEvent::State(..)
            | RunEvent::Schedules(_)
            | RunEvent::Health(_)
            | RunEvent::Reloaded(_)
            | RunEvent::Log(_)
            | RunEvent::Checkpoint { .. } => {}
        }
    }

    fn phase(&mut self, cycle: u64, phase: Phase, steps: Option<u64>) {
        (self.cycle, self.phase) = (cycle, phase);
        if let Some(steps) = steps {
            self.steps = steps;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.steps.max(1));
                bar.set_prefix(format!("cycle {cycle} {}", phase.word()));
            }
            None => self.line(&format!("cycle {cycle}: {}", phase.word())),
        }
    }

    fn progress(&mut self, steps_done: u64, rows: u64, errors: u64) {
        let elapsed = self.last.0.elapsed().as_secs_f64();
        if elapsed >= 1.0 {
            self.rate = rows.saturating_sub(self.last.1) as f64 / elapsed;
            self.last = (Instant::now(), rows);
        }
        let message = format!("{} rows/s, {errors} errors", thousands(self.rate as u64));
        match &self.bar {
            Some(bar) => {
                bar.set_position(steps_done);
                bar.set_message(message);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let steps = self.steps;
                self.line(&format!(
                    "cycle {}: {} {steps_done}/{steps} steps, {message}",
                    self.cycle,
                    self.phase.word()
                ));
            }
            None => {}
        }
    }

    fn line(&self, text: &str) {
        let clean: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
        match &self.bar {
            Some(bar) => bar.println(clean),
            None => eprintln!("{clean}"),
        }
    }
}

/// Groups digits by threes.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
