//! `soakd init`: a few questions, or flags in their place, become a configuration that is proven to load.
//!
//! The API key goes to a file of its own that only its owner may read; the configuration refers to it. The cloud database is
//! touched with `--apply` only, after the statements were shown.

mod apply;
mod file;
mod questions;
mod statements;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::cli::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK};
use crate::config::{Config, Loaded, TargetConfig};
use crate::target::gateway::{Gateway, GatewayTimeouts};
use questions::{Answers, Terminal};

/// Write a configuration from a few questions, or from flags
#[derive(Debug, Clone, Default, clap::Args)]
pub struct InitArgs {
    /// Address of the sync service [default: https://cloudsync.sqlite.ai]
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// Connection string, sqlitecloud://host:port/db?apikey=KEY; better through the environment than on the command line
    #[arg(long, value_name = "STRING", env = "SOAKD_CONNECTION", hide_env_values = true)]
    pub connection: Option<SecretString>,
    /// Address of the token and SQL gateway, where it is not https:// and the host of the connection string
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// small, medium or large [default: small]
    #[arg(long)]
    pub scale: Option<String>,
    /// Row-level security on
    #[arg(long, conflicts_with = "no_rls")]
    pub rls: bool,
    /// Row-level security off
    #[arg(long)]
    pub no_rls: bool,
    /// File with the CREATE TABLE statement [default: the table of the hand-made test]
    #[arg(long, value_name = "FILE")]
    pub ddl_file: Option<PathBuf>,
    /// Text column that names the owner of a row, where it is not user_id
    #[arg(long, value_name = "COLUMN")]
    pub owner: Option<String>,
    /// Text column for soakd's stamps, where it is not name
    #[arg(long, value_name = "COLUMN")]
    pub stamp: Option<String>,
    /// Integer column for soakd's counter, where it is not value
    #[arg(long, value_name = "COLUMN")]
    pub counter: Option<String>,
    /// Id of the managed database
    #[arg(long, value_name = "ID")]
    pub database_id: Option<String>,
    /// Path of the cloudsync extension
    #[arg(long, value_name = "FILE")]
    pub extension: Option<PathBuf>,
    /// For soakd's own server: asks nothing about a service
    #[arg(long, conflicts_with_all = ["address", "gateway", "database_id", "extension", "apply"])]
    pub embedded: bool,
    /// The configuration to write
    #[arg(short, long, value_name = "FILE", default_value = "soakd.toml")]
    pub output: PathBuf,
    /// Overwrites existing files
    #[arg(long)]
    pub force: bool,
    /// Runs the statements that prepare the cloud database; they drop the table there
    #[arg(long)]
    pub apply: bool,
    /// Asks nothing: takes the defaults for what no flag says
    #[arg(short, long)]
    pub yes: bool,
}

/// Runs the command and returns its exit code.
pub fn run(args: InitArgs) -> anyhow::Result<u8> {
    let interactive = !args.yes && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut terminal = interactive.then(|| Terminal::new(std::io::stdin().lock(), std::io::stdout()));
    let answers = match questions::gather(&args, terminal.as_mut()) {
        Ok(answers) => answers,
        Err(why) => {
            eprintln!("{why}");
            return Ok(EXIT_CONFIG);
        }
    };
    let loaded = match write(&args, &answers) {
        Ok(loaded) => loaded,
        Err(why) => {
            eprintln!("{why}");
            return Ok(EXIT_CONFIG);
        }
    };
    println!("wrote {}", args.output.display());
    let (TargetConfig::Cloudsync(service), Some(connection)) = (&loaded.config.target, &answers.connection) else {
        return Ok(EXIT_OK);
    };
    let rls = loaded.config.workload.sync().is_some_and(|sync| sync.rls);
    let database = service.database.clone().unwrap_or_default();
    let statements = statements::prepare(&loaded.table, &database, rls);
    println!("\nThese statements prepare the database {database}; the first two delete what is in the table there:\n");
    statements.iter().for_each(|statement| println!("{statement};"));
    if !args.apply {
        println!("\nRun them on the database, or run this command again with --apply --force.");
        return Ok(EXIT_OK);
    }
    let name = &loaded.table.name;
    if let Some(terminal) = &mut terminal {
        let typed = terminal.ask(&format!("\nType {name} to run them"), None)?;
        if typed != *name {
            println!("nothing was run");
            return Ok(EXIT_FAIL);
        }
    } else if !args.yes {
        eprintln!("--apply drops the table {name} in the database {database}: confirm with --yes");
        return Ok(EXIT_CONFIG);
    }
    let address = service.gateway.clone().unwrap_or_default();
    let timeouts = &loaded.config.timeouts;
    let timeouts = GatewayTimeouts { connect: timeouts.connect.get(), request: timeouts.request.get() };
    let (key, table) = (connection.api_key.clone(), loaded.table.clone());
    apply::run(&Gateway::new(&address, key, Some(database), table, timeouts)?, &statements)
}

/// Writes the configuration and the key file, once the text is known to be good.
fn write(args: &InitArgs, answers: &Answers) -> anyhow::Result<Loaded> {
    let key_path = args.output.parent().unwrap_or(Path::new("")).join(file::KEY_FILE);
    let wanted = [Some(&args.output), answers.connection.as_ref().map(|_| &key_path)];
    for path in wanted.into_iter().flatten() {
        if path.exists() && !args.force {
            anyhow::bail!(
                "{} exists already; overwrite it with --force, or write another with --output",
                path.display()
            );
        }
    }
    let text = file::text(answers);
    Config::parse(&text, &args.output.display().to_string())?;
    if let Some(connection) = &answers.connection {
        file::write_key(&key_path, &connection.api_key)?;
    }
    file::replace(&args.output, text.as_bytes(), 0o644)?;
    Ok(Config::load(&args.output)?)
}

#[cfg(test)]
mod tests;
