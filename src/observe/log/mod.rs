//! The daemon's own log: which form its lines have and where they go, how much is written, how repeats are counted, and that no
//! known secret is in them. What workers and target say is not here but in the workers' log.

mod entry;
mod form;
mod journal;
mod out;
mod redact;
mod repeats;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

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
    let out = Arc::new(Out::new(form(config.format), Box::new(std::io::stderr()), config.repeats.get()));
    let (filter, handle) = reload::Layer::new(EnvFilter::new(own(&config.level)));
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
        let filter = EnvFilter::try_new(own(level)).map_err(|_| refused())?;
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

/// Returns the levels with a general one that goes beyond warnings for soakd only: the libraries below it tell of every timer
/// and connection. A level that names a library is taken as it is.
fn own(level: &str) -> String {
    let one = |directive: &str| match directive.trim().parse::<LevelFilter>() {
        Ok(general) if general > LevelFilter::WARN => format!("warn,soakd={general}"),
        _ => directive.to_owned(),
    };
    level.split(',').map(one).collect::<Vec<_>>().join(",")
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

    #[test]
    fn only_soakd_itself_says_more_than_warnings() {
        for (level, is) in [
            ("info", "warn,soakd=info"),
            ("info,soakd::engine=debug", "warn,soakd=info,soakd::engine=debug"),
            ("hyper=trace, debug", "hyper=trace,warn,soakd=debug"),
            ("warn", "warn"),
            ("off", "off"),
            ("soakd::store=trace", "soakd::store=trace"),
        ] {
            assert_eq!(own(level), is);
            assert!(EnvFilter::try_new(is).is_ok(), "{is}");
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
