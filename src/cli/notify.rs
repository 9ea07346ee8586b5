//! `soakd notify test`: one message over every channel, now, so that it is known before a run whether anybody would hear of
//! a failure. Needs no state file and no daemon.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use clap::{Args, Subcommand};

use super::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK};
use crate::config::{Config, NotifyConfig, installed};
use crate::observe::notify::{Channel, Channels, Delivered, Origin, SendError, test_letter};

/// Width of the column of names.
const NAME_WIDTH: usize = 24;

/// Show that people can be told, with a test message
#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// Sends one test message over every configured channel.
    Test(TestArgs),
}

/// Arguments of `soakd notify test`.
#[derive(Debug, Args)]
struct TestArgs {
    /// The configuration file [default: soakd.toml, or /etc/soakd/soakd.toml if there is none here]
    #[arg(short, long, value_name = "FILE", env = "SOAKD_CONFIG", default_value_os_t = installed::default_config(), hide_default_value = true)]
    config: PathBuf,
    /// Send over this channel only: mail, webhook.NAME or ping
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

/// Runs the command and returns its exit code.
pub fn run(args: NotifyArgs) -> anyhow::Result<u8> {
    let NotifyCommand::Test(args) = args.command;
    let loaded = match Config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(EXIT_CONFIG);
        }
    };
    test(&loaded.config.notify, &loaded.origin, args.channel.as_deref())
}

fn test(config: &NotifyConfig, origin: &str, only: Option<&str>) -> anyhow::Result<u8> {
    // An error means that a provider is installed already, which is all that is needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let channels = match Channels::resolve(config) {
        Ok(channels) => channels,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{origin}: {problem}"));
            return Ok(EXIT_CONFIG);
        }
    };
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let chosen: Vec<Arc<dyn Channel>> = channels.all().iter().filter(|c| wanted(c.name())).cloned().collect();
    let ping = channels.ping().filter(|_| wanted("ping"));
    if chosen.is_empty() && ping.is_none() {
        let known: Vec<&str> = channels.all().iter().map(|c| c.name()).chain(channels.ping().map(|_| "ping")).collect();
        match only {
            Some(only) if !known.is_empty() => {
                eprintln!("{origin}: there is no channel {only:?}; there are {}", known.join(", "));
            }
            _ => eprintln!("{origin}: nobody is told: configure notify.mail, notify.webhook.NAME or notify.ping"),
        }
        return Ok(EXIT_CONFIG);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let letter = test_letter(Utc::now().timestamp_millis(), channels.zone(), &Origin::here(origin));
    let failed = runtime.block_on(async {
        let mut failed = 0;
        for channel in &chosen {
            failed += u32::from(!said(channel.name(), channel.send(&letter).await));
        }
        if let Some(ping) = ping {
            let called = ping.test().await.map(|()| Delivered {
                to: "its /start address; without a run it will raise the alarm".into(),
                warning: None,
            });
            failed += u32::from(!said("ping", called));
        }
        failed
    });
    Ok(if failed == 0 { EXIT_OK } else { EXIT_FAIL })
}

/// Prints how a channel did; true if it delivered.
fn said(name: &str, result: Result<Delivered, SendError>) -> bool {
    match result {
        Ok(Delivered { to, warning: None }) => println!("ok       {name:<NAME_WIDTH$} delivered to {to}"),
        Ok(Delivered { to, warning: Some(warning) }) => {
            println!("WARNING  {name:<NAME_WIDTH$} delivered to {to}; {warning}");
        }
        Err(why) => {
            println!("FAILED   {name:<NAME_WIDTH$} {why}");
            return false;
        }
    }
    true
}
