//! `soakd events`: what happens in the running daemon, one line per event.

use std::io::{self, Write};

use serde_json::Value;

use super::daemon::{SocketArgs, wait};
use super::status::Form;
use super::{EXIT_OK, EXIT_UNAVAILABLE};
use crate::observe::report::clock;
use crate::observe::report::words::clean;

/// Arguments of `soakd events`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EventsArgs {
    /// What the events look like; JSON is one object per line
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Follows the events until the daemon ends.
pub fn run(args: EventsArgs) -> anyhow::Result<u8> {
    let client = args.socket.client()?;
    let mut out = io::stdout().lock();
    let mut gone = false;
    wait(client.follow(|event| {
        let line = match args.format {
            Form::Text => line(event),
            Form::Json => event.to_string(),
        };
        // A reader that went away, such as `head`, ends it.
        gone = writeln!(out, "{line}").and_then(|()| out.flush()).is_err();
        !gone
    }))??;
    if gone {
        return Ok(EXIT_OK);
    }
    eprintln!("the daemon has ended");
    Ok(EXIT_UNAVAILABLE)
}

/// Returns an event as one line: time, kind, and what it holds as `name=value`.
fn line(event: &Value) -> String {
    let at = clock(event["at_ms"].as_i64().unwrap_or(0));
    let kind = event["kind"].as_str().unwrap_or("?");
    let mut line = format!("{at} {kind:<10}");
    match (&event["data"], kind) {
        (Value::Object(fields), kind) if kind != "status" => {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                line.push_str(&format!(" {name}={text}"));
            }
        }
        (status, _) => line.push_str(&format!(" state={}", status["state"].as_str().unwrap_or("?"))),
    }
    clean(&line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_that_no_terminal_obeys() {
        let event = json!({ "at_ms": 3_723_000, "kind": "log", "data": { "line": "a\u{1b}[31m\nb", "db": null } });
        assert_eq!(line(&event), "01:02:03 log        line=a\u{fffd}[31m\u{fffd}b");
        let status = json!({ "at_ms": 0, "kind": "status", "data": { "state": "idle" } });
        assert_eq!(line(&status), "00:00:00 status     state=idle");
        assert_eq!(line(&json!(null)), "00:00:00 ?          state=?");
    }
}
