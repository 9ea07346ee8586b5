//! The questions of `soakd init`: each answered by a flag, by a person, or by its default.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::InitArgs;
use crate::target::gateway::{ConnectionString, parse_connection_string};

const SCALES: [&str; 3] = ["small", "medium", "large"];

/// What a configuration is written from.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) scale: String,
    pub(super) rls: bool,
    /// The CREATE TABLE statement; absent: the seed's table.
    pub(super) ddl: Option<String>,
    pub(super) ddl_file: Option<PathBuf>,
    pub(super) owner: Option<String>,
    pub(super) stamp: Option<String>,
    pub(super) counter: Option<String>,
    /// Absent: the embedded target.
    pub(super) connection: Option<ConnectionString>,
    pub(super) address: String,
    pub(super) gateway: String,
    pub(super) database: String,
    pub(super) database_id: String,
    pub(super) extension: PathBuf,
}

/// Why there are no answers.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("this is not asked without a terminal; missing: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    #[error("{0}")]
    Wrong(String),
    #[error("the answer cannot be read: {0}")]
    Input(#[from] std::io::Error),
}

/// Somebody who can be asked.
pub(super) struct Terminal<R, W> {
    input: R,
    output: W,
}

impl<R: BufRead, W: Write> Terminal<R, W> {
    /// Takes what is read from and what is written to.
    pub(super) fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    /// Asks one question; an empty answer is the default.
    pub(super) fn ask(&mut self, question: &str, default: Option<&str>) -> std::io::Result<String> {
        match default {
            Some(default) => write!(self.output, "{question} [{default}]: ")?,
            None => write!(self.output, "{question}: ")?,
        }
        self.output.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the input ended"));
        }
        let line = line.trim();
        Ok(if line.is_empty() { default.unwrap_or_default().to_owned() } else { line.to_owned() })
    }
}

/// Collects flags, asked answers and defaults; what has neither is named by its flag.
pub(super) fn gather<R: BufRead, W: Write>(
    args: &InitArgs,
    mut terminal: Option<&mut Terminal<R, W>>,
) -> Result<Answers, AskError> {
    let mut missing = Vec::new();
    let mut answer =
        |flag: Option<String>, name: &'static str, question: &str, default: Option<&str>| match (flag, &mut terminal) {
            (Some(flag), _) => Ok(flag),
            (None, Some(terminal)) if !args.embedded => terminal.ask(question, default).map_err(AskError::Input),
            (None, _) => Ok(default.map_or_else(
                || {
                    missing.push(name);
                    String::new()
                },
                str::to_owned,
            )),
        };
    let service = !args.embedded;
    let mut of_service = |flag: Option<String>, name, question: &str, default| {
        if service { answer(flag, name, question, default) } else { Ok(String::new()) }
    };
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let address = of_service(
        args.address.clone(),
        "--address",
        "Address of the sync service",
        Some("https://cloudsync.sqlite.ai"),
    )?;
    let secret = args.connection.as_ref().map(|secret| secret.expose_secret().to_owned());
    let connection = of_service(
        secret,
        "--connection (or SOAKD_CONNECTION)",
        "Connection string (sqlitecloud://host:port/db?apikey=KEY)",
        None,
    )?;
    let database_id = of_service(args.database_id.clone(), "--database-id", "Id of the managed database", None)?;
    let extension = of_service(shown(&args.extension), "--extension", "Path of the cloudsync extension", None)?;
    let scale = answer(args.scale.clone(), "--scale", "Scale (small, medium, large)", Some("small"))?;
    let rls = (args.rls || args.no_rls).then(|| if args.rls { "yes" } else { "no" }.to_owned());
    let rls = answer(rls, "--rls or --no-rls", "Row-level security (yes, no)", Some("yes"))?;
    let ddl = answer(
        shown(&args.ddl_file),
        "--ddl-file",
        "Table: a CREATE TABLE statement, or a file with one",
        Some("seed"),
    )?;
    if !missing.is_empty() {
        return Err(AskError::Missing(missing));
    }
    let connection = service
        .then(|| parse_connection_string(&connection))
        .transpose()
        .map_err(|why| AskError::Wrong(why.to_string()))?;
    settle(args, Said { connection, address, database_id, extension, scale, rls, ddl })
}

/// What was said, in the order of the questions.
struct Said {
    connection: Option<ConnectionString>,
    address: String,
    database_id: String,
    extension: String,
    scale: String,
    rls: String,
    ddl: String,
}

/// Turns what was said into answers, or says what is wrong with it.
fn settle(args: &InitArgs, said: Said) -> Result<Answers, AskError> {
    let Said { connection, address, database_id, extension, scale, rls, ddl } = said;
    if !SCALES.contains(&scale.as_str()) {
        return Err(AskError::Wrong(format!("there is no scale {scale}; choose one of {}", SCALES.join(", "))));
    }
    let database = connection.as_ref().and_then(|c| c.database.clone()).unwrap_or_default();
    if connection.is_some() && database.is_empty() {
        let message = "the connection string names no database; write sqlitecloud://host:port/DATABASE?apikey=KEY";
        return Err(AskError::Wrong(message.into()));
    }
    let gateway = args.gateway.clone().or(connection.as_ref().map(|c| format!("https://{}", c.host)));
    let inline = args.ddl_file.is_none() && ddl.to_ascii_uppercase().starts_with("CREATE ");
    let own = args.ddl_file.is_some() || ddl != "seed";
    Ok(Answers {
        scale,
        rls: yes(&rls)?,
        ddl: (own && inline).then(|| ddl.clone()),
        ddl_file: (own && !inline).then(|| absolute(&ddl)),
        owner: args.owner.clone(),
        stamp: args.stamp.clone(),
        counter: args.counter.clone(),
        connection,
        address,
        gateway: gateway.unwrap_or_default(),
        database,
        database_id,
        extension: absolute(&extension),
    })
}

fn yes(text: &str) -> Result<bool, AskError> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Ok(true),
        "no" | "n" | "off" | "false" => Ok(false),
        _ => Err(AskError::Wrong("row-level security is either yes or no".into())),
    }
}

/// Returns a path that does not depend on where soakd is started.
fn absolute(text: &str) -> PathBuf {
    std::path::absolute(text).unwrap_or_else(|_| Path::new(text).to_owned())
}
