//! `soakd target`: the embedded sync server as a process, alone or managed by the daemon.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::engine::worker::process::leave_signals_to_the_daemon;
use crate::model::schema::TableSpec;
use crate::target::embedded::StoreAddress;
use crate::target::embedded::plant::Planter;
use crate::target::embedded::server::{ServerConfig, serve, version};

/// Exit code when the address cannot be listened on.
const EXIT_UNAVAILABLE: i32 = 69;

/// Run the embedded sync server alone
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Read the settings as one JSON line from standard input, and stop when it ends.
    #[arg(long)]
    managed: bool,
    /// Address to listen on; only loopback is accepted.
    #[arg(long, default_value = "127.0.0.1:8484")]
    listen: String,
    /// A file for SQLite, or postgres://user:password@host:port/database.
    #[arg(long, default_value = "soakd-target.db")]
    store: String,
    /// Environment variable that holds the API key.
    #[arg(long, default_value = "SOAKD_API_KEY")]
    api_key_env: String,
    /// File that holds the API key.
    #[arg(long)]
    api_key_file: Option<PathBuf>,
    /// JSON description of the table; the seed's table otherwise.
    #[arg(long)]
    table_spec: Option<PathBuf>,
    /// Serve all rows to everybody who has the API key.
    #[arg(long)]
    no_rls: bool,
    /// Break the server on purpose; needs --testing.
    #[arg(long = "plant")]
    plants: Vec<String>,
    /// Permit planted bugs.
    #[arg(long)]
    testing: bool,
    /// What to log, for example debug or soakd=trace.
    #[arg(long, default_value = "info")]
    log: String,
}

/// The settings of a managed target, as they come down the pipe.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedSettings {
    pub api_key: String,
    pub listen: String,
    pub store: StoreAddress,
    pub table: TableSpec,
    pub rls: bool,
    #[serde(default)]
    pub plants: Vec<String>,
    #[serde(default)]
    pub testing: bool,
    /// The run that the store belongs to; another run's rows are dropped.
    #[serde(default)]
    pub run: Option<String>,
}

/// What a managed target says when it is ready.
#[derive(Debug, Deserialize, Serialize)]
pub struct Ready {
    pub listening: String,
    pub version: String,
}

/// Runs the server until it is told to stop.
pub fn run(args: TargetArgs) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log).context("--log is not understood")?;
    // Somebody else may have set up logging already.
    let colours = std::io::stderr().is_terminal();
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).try_init();
    let managed = args.managed;
    if managed {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .context("cannot tie this process to its parent")?;
        leave_signals_to_the_daemon()?;
    }
    let settings = if managed { read_managed()? } else { stand_alone(args)? };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(start(settings, managed));
    // A read of standard input may still be blocked; it must not hold the exit up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn start(settings: ManagedSettings, managed: bool) -> anyhow::Result<()> {
    let planter = Planter::new(&settings.plants, settings.testing)?;
    let listener = listen(&settings.listen).await;
    let address = listener.local_addr()?;
    if let Some(run) = &settings.run {
        settings.store.claim(&settings.table, run).await?;
    }
    let store = settings.store.open(&settings.table, settings.rls, planter.wal_pages()).await?;
    let version = format!("{} ({})", planter.version().map_or_else(version, str::to_owned), store.kind());
    tracing::info!(%address, store = store.kind(), rls = settings.rls, plants = ?settings.plants, "listening");
    if managed {
        let ready = Ready { listening: address.to_string(), version };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(&ready)?)?;
        stdout.flush()?;
    }
    let config = ServerConfig { api_key: SecretString::from(settings.api_key), rls: settings.rls, store, planter };
    serve(listener, config, stopped(managed)).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Listens on a loopback address, or ends the process with a message and the code for it.
async fn listen(address: &str) -> TcpListener {
    let failed = |why: String| -> ! {
        eprintln!("soakd target cannot listen on {address}: {why}");
        std::process::exit(EXIT_UNAVAILABLE)
    };
    match tokio::net::lookup_host(address).await {
        Ok(mut found) => {
            if !found.all(|a| a.ip().is_loopback()) {
                failed("only loopback addresses are accepted".into())
            }
        }
        Err(error) => failed(format!("{error}. Write an address such as 127.0.0.1:8484")),
    }
    match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            failed("the address is in use. Stop what listens there, or choose another port".into())
        }
        Err(error) => failed(error.to_string()),
    }
}

/// Resolves when the process is asked to stop: by a signal, or, where a daemon runs it, by the end of its input.
async fn stopped(managed: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let input = async {
        if input_end().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    if managed {
        input.await;
        return tracing::info!("stopping because standard input ended");
    }
    tokio::select! {
        () = wait(SignalKind::terminate()) => tracing::info!("stopping on SIGTERM"),
        () = wait(SignalKind::interrupt()) => tracing::info!("stopping on SIGINT"),
    }
}

/// Resolves when standard input ends; a thread of its own waits for it, since such a read cannot be given up.
async fn input_end() -> Result<(), tokio::sync::oneshot::error::RecvError> {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    end.await
}

fn read_managed() -> anyhow::Result<ManagedSettings> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the settings from standard input")?;
    serde_json::from_str(&line).context("the settings on standard input are not understood")
}

fn stand_alone(args: TargetArgs) -> anyhow::Result<ManagedSettings> {
    let api_key = match &args.api_key_file {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => std::env::var(&args.api_key_env)
            .with_context(|| format!("no API key: set {} or give --api-key-file", args.api_key_env))?,
    };
    let api_key = api_key.trim().to_owned();
    if api_key.is_empty() {
        bail!("the API key is empty");
    }
    let table = match &args.table_spec {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is not a table description", path.display()))?
        }
        None => TableSpec::seed(),
    };
    let store = if args.store.starts_with("postgres://") || args.store.starts_with("postgresql://") {
        StoreAddress::Postgres(args.store)
    } else {
        StoreAddress::Sqlite(args.store.into())
    };
    let (rls, plants, testing) = (!args.no_rls, args.plants, args.testing);
    Ok(ManagedSettings { api_key, listen: args.listen, store, table, rls, plants, testing, run: None })
}
