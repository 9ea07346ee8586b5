//! The way of an event to its line: known secrets out, repeats counted, then written in one piece.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::layer::{Context, Layer};

use super::entry::Entry;
use super::form;
use super::journal::Journal;
use super::repeats::Repeats;

/// Longest time between two looks at what was only counted.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);
/// Shortest time between two looks.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(100);

/// Form and way of a line.
pub(super) enum Form {
    Text { colours: bool },
    Json,
    Journal(Journal),
}

/// Where lines go.
pub(super) struct Out(Mutex<State>);

struct State {
    form: Form,
    writer: Box<dyn Write + Send>,
    repeats: Repeats,
    window: Duration,
}

impl Out {
    /// Writes to `writer`, and tells of repeats within windows of this length.
    pub(super) fn new(form: Form, writer: Box<dyn Write + Send>, window: Duration) -> Self {
        Self(Mutex::new(State { form, writer, repeats: Repeats::new(window), window }))
    }

    pub(super) fn is_for_machines(&self) -> bool {
        !matches!(self.state().form, Form::Text { .. })
    }

    pub(super) fn set_window(&self, window: Duration) {
        let mut state = self.state();
        state.window = window;
        state.repeats.set_window(window);
    }

    /// Returns how often to look whether there are repeats to tell.
    pub(super) fn look_every(&self) -> Duration {
        (self.state().window / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
    }

    fn line(&self, entry: Entry) {
        let mut state = self.state();
        let entries = state.repeats.look(entry, Instant::now());
        state.write(&entries);
    }

    /// Tells of repeats whose window is over.
    pub(super) fn tell_repeats(&self) {
        let mut state = self.state();
        let entries = state.repeats.over(Instant::now());
        state.write(&entries);
    }

    /// Tells of all repeats.
    pub(super) fn close(&self) {
        let mut state = self.state();
        let entries = state.repeats.close();
        state.write(&entries);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, entries: &[Entry]) {
        for entry in entries {
            let line = match &mut self.form {
                Form::Text { colours } => Some(form::text(entry, *colours)),
                Form::Json => Some(form::json(entry)),
                Form::Journal(journal) => journal.send(entry),
            };
            if let Some(line) = line {
                // A log that cannot be written has nowhere to say so.
                let _ = self.writer.write_all(line.as_bytes());
            }
        }
    }
}

/// The part that hears of events.
pub(super) struct Lines(pub(super) Arc<Out>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        self.0.line(Entry::of(event));
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::Value;
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::reload;

    use super::*;

    /// What was written so far.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).expect("text")
        }
    }

    fn log(form: Form, window: Duration) -> (Paper, Arc<Out>) {
        let paper = Paper::default();
        let out = Arc::new(Out::new(form, Box::new(paper.clone()), window));
        (paper, out)
    }

    #[test]
    fn an_event_becomes_a_line_without_secrets() {
        let secret = SecretString::from("marked-log-secret-17");
        assert!(super::super::never_show(&secret));
        let (paper, out) = log(Form::Json, Duration::from_secs(60));
        let subscriber = tracing_subscriber::registry().with(Lines(out));
        tracing::subscriber::with_default(subscriber, || {
            let error = std::io::Error::other("refused: marked-log-secret-17");
            let missing: Option<u64> = None;
            tracing::warn!(worker = 3, rate = 0.5, ok = true, %error, ?missing, "key {}", "marked-log-secret-17");
        });
        let line: Value = serde_json::from_str(&paper.text()).expect("one line of JSON");
        assert_eq!(line["message"], "key ***");
        assert_eq!(line["target"], "soakd::observe::log::out::tests");
        let fields = serde_json::json!({
            "worker": 3, "rate": 0.5, "ok": true, "error": "refused: ***", "missing": "None"
        });
        assert_eq!(line["fields"], fields);
    }

    #[test]
    fn a_storm_of_one_kind_is_a_few_lines_and_a_count() {
        let (paper, out) = log(Form::Text { colours: false }, Duration::from_secs(60));
        let subscriber = tracing_subscriber::registry().with(Lines(Arc::clone(&out)));
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..1000 {
                tracing::error!("[DB{}] step {n} failed", n % 4);
            }
            tracing::error!("something else");
        });
        out.close();
        let text = paper.text();
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.ends_with("ERROR [DB3] step 999 failed (repeated 995 times within 1m) repeated=995\n"), "{text}");
        assert!(text.contains("something else"), "{text}");
    }

    #[test]
    fn levels_by_module_change_while_the_log_is_written() {
        let (paper, out) = log(Form::Text { colours: false }, Duration::ZERO);
        let (filter, handle) = reload::Layer::new(EnvFilter::new("warn"));
        let subscriber = tracing_subscriber::registry().with(filter).with(Lines(out));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("hidden");
            handle.reload(EnvFilter::new("warn,soakd::observe=debug")).expect("a new filter");
            tracing::debug!("shown");
            tracing::debug!(target: "soakd::engine", "still hidden");
        });
        assert!(!paper.text().contains("hidden") && paper.text().contains("DEBUG shown"), "{}", paper.text());
    }

    #[test]
    fn an_absent_journal_costs_no_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(&dir.path().join("absent"));
        let (paper, out) = log(Form::Journal(journal), Duration::ZERO);
        out.line(Entry::new(super::super::entry::Level::Warn, "soakd", "here"));
        assert_eq!(paper.text(), "<4>here\n");
    }
}
