//! The daemon's own log: which form its lines have and where they go, how much is written, how repeats are counted, and that no
//! known secret is in them. What workers and target say is not here but in the workers' log.

mod entry;
mod form;
mod journal;
mod out;
mod redact;
mod repeats;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::log_file::LogFile;
use crate::config::run::{LogConfig, LogFormat};
use out::{Form, Out};
pub use redact::{never_show, redacted};

/// Keeps the log going, and changes it; what was only counted is told when it is dropped.
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    out: Arc<Out>,
    /// Closed by the drop, which ends the thread that tells of repeats.
    _open: SyncSender<()>,
}

/// A level that is not understood.
#[derive(Debug, thiserror::Error)]
#[error("the log level {0:?} is not understood; write one such as \"info\" or \"info,soakd::engine=debug\"")]
pub struct LevelError(String);

/// Starts the log of this process. If there is one already, it stays.
pub fn init(config: &LogConfig) -> LogHandle {
    begin(config, form(config.format), Box::new(std::io::stderr()))
}

/// Starts the log of this process in a file, because the terminal shows something else.
pub fn init_in(config: &LogConfig, file: LogFile) -> LogHandle {
    let form = if config.format == LogFormat::Json { Form::Json } else { Form::Text { colours: false } };
    begin(config, form, Box::new(file))
}

fn begin(config: &LogConfig, form: Form, writer: Box<dyn Write + Send>) -> LogHandle {
    let out = Arc::new(Out::new(form, writer, config.repeats.get()));
    let (filter, handle) = reload::Layer::new(EnvFilter::new(directives(&config.level)));
    let subscriber = tracing_subscriber::registry().with(filter).with(out::Lines(Arc::clone(&out)));
    // Fails only if somebody else has set up logging, as a test may.
    let _ = subscriber.try_init();
    let (open, closed) = sync_channel(0);
    let lines = Arc::clone(&out);
    let told = std::thread::Builder::new().name("log".into()).spawn(move || {
        while closed.recv_timeout(lines.look_every()) == Err(RecvTimeoutError::Timeout) {
            lines.tell_repeats();
        }
    });
    if let Err(error) = told {
        tracing::warn!("repeated lines are told late: a thread for it cannot be started: {error}");
    }
    LogHandle { filter: handle, out, _open: open }
}

impl LogHandle {
    /// Writes what these levels say from now on.
    pub fn set_level(&self, level: &str) -> Result<(), LevelError> {
        let refused = || LevelError(level.into());
        let filter = EnvFilter::try_new(directives(level)).map_err(|_| refused())?;
        self.filter.reload(filter).map_err(|_| refused())
    }

    /// Takes over what a new configuration says of the log; its format stays until the next start.
    pub fn reload(&self, config: &LogConfig) -> Result<(), LevelError> {
        self.out.set_window(config.repeats.get());
        self.set_level(&config.level)
    }

    /// Returns true if standard error is read by a machine, so that lines of another form do not belong there.
    pub fn is_for_machines(&self) -> bool {
        self.out.is_for_machines()
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.out.close();
    }
}

/// Returns the levels as directives: a level without a module is soakd's own, and other crates, which tell much that concerns
/// nobody here, say no more than warnings unless they are named.
fn directives(level: &str) -> String {
    let (mut general, mut named) = (Vec::new(), Vec::new());
    for directive in level.split(',').map(str::trim) {
        match directive.to_ascii_lowercase().as_str() {
            "info" | "debug" | "trace" | "3" | "4" | "5" => general.push(format!("warn,soakd={directive}")),
            "off" | "error" | "warn" | "0" | "1" | "2" => general.push(format!("{directive},soakd={directive}")),
            _ => named.push(directive.to_owned()),
        }
    }
    // Of two directives for one module the later one counts.
    general.into_iter().chain(named).collect::<Vec<_>>().join(",")
}

/// Returns the form that lines have on this standard error.
fn form(format: LogFormat) -> Form {
    let stderr = std::io::stderr();
    let colours = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let place = rustix::fs::fstat(&stderr).ok().map(|stat| (stat.st_dev, stat.st_ino));
    let format = match format {
        LogFormat::Auto => choose(stderr.is_terminal(), std::env::var("JOURNAL_STREAM").ok().as_deref(), place),
        other => other,
    };
    match format {
        LogFormat::Json => Form::Json,
        LogFormat::Journal => Form::Journal(journal::Journal::new(journal::SOCKET.as_ref())),
        LogFormat::Auto | LogFormat::Text => Form::Text { colours },
    }
}

/// Returns what suits a standard error with this device and inode. The journal names its own in `JOURNAL_STREAM`, which
/// children of a service inherit even where their output goes elsewhere.
fn choose(terminal: bool, journal_stream: Option<&str>, place: Option<(u64, u64)>) -> LogFormat {
    let stream = journal_stream.and_then(|text| {
        let (device, inode) = text.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    if terminal {
        LogFormat::Text
    } else if stream.is_some() && stream == place {
        LogFormat::Journal
    } else {
        LogFormat::Json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is written at these levels, of lines of soakd and of another crate.
    fn written(level: &str) -> String {
        #[derive(Clone, Default)]
        struct Kept(Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().expect("no panic").write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let out = Out::new(Form::Text { colours: false }, Box::new(kept.clone()), std::time::Duration::ZERO);
        let filter = EnvFilter::try_new(directives(level)).expect("levels");
        let subscriber = tracing_subscriber::registry().with(filter).with(out::Lines(Arc::new(out)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "soakd::engine", "engine-debug");
            tracing::debug!(target: "soakd::store", "own-debug");
            tracing::info!(target: "soakd::store", "own-info");
            tracing::info!(target: "tokio_cron_scheduler::job", "other-info");
            tracing::warn!(target: "tokio_cron_scheduler::job", "other-warn");
        });
        let text = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("text");
        text.split_whitespace().filter(|word| word.contains('-') && !word.contains(':')).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_level_is_soakds_own_and_other_crates_are_named_to_be_heard() {
        for (level, lines) in [
            ("info", "own-info other-warn"),
            ("debug", "engine-debug own-debug own-info other-warn"),
            ("info,soakd::engine=debug", "engine-debug own-info other-warn"),
            ("soakd::engine=debug, INFO", "engine-debug own-info other-warn"),
            ("error,soakd=info", "own-info"),
            ("warn,tokio_cron_scheduler=info", "other-info other-warn"),
            ("info,tokio_cron_scheduler=off", "own-info"),
            ("off", ""),
        ] {
            assert_eq!(written(level), lines, "{level}");
        }
    }

    #[test]
    fn the_form_suits_whoever_reads_standard_error() {
        for (terminal, stream, place, format) in [
            (true, None, Some((8, 42)), LogFormat::Text),
            (false, None, Some((8, 42)), LogFormat::Json),
            (false, Some("8:42"), Some((8, 42)), LogFormat::Journal),
            (false, Some("8:43"), Some((8, 42)), LogFormat::Json),
            (false, Some("nonsense"), None, LogFormat::Json),
            (false, Some("8:42"), None, LogFormat::Json),
            (true, Some("8:43"), Some((8, 42)), LogFormat::Text),
        ] {
            assert_eq!(choose(terminal, stream, place), format, "{terminal} {stream:?} {place:?}");
        }
    }
}
