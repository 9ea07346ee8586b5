//! What a PostgreSQL says of itself: connections, locks, dead rows, sizes. One connection is kept, marked by its name, read
//! only, and left out of what it counts; every reading has a deadline.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Time that one reading may take, connecting included.
pub const DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 12 } else { 3 });
/// What soakd's own connection is called.
const NAME: &str = "soakd observe";

const SESSION: &str =
    "SET default_transaction_read_only = on; SET statement_timeout = '2s'; SET lock_timeout = '200ms'";

const FIGURES: &str = "
SELECT
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())::bigint,
  (SELECT count(*) FROM pg_locks WHERE database = own.oid AND pid IS DISTINCT FROM pg_backend_pid())::bigint,
  (SELECT count(*) FROM pg_locks WHERE database = own.oid AND NOT granted)::bigint,
  (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables)::bigint,
  pg_database_size(own.oid)::bigint,
  extract(epoch FROM pg_postmaster_start_time())::bigint,
  has_function_privilege('pg_ls_waldir()', 'execute') AND has_function_privilege('pg_ls_tmpdir()', 'execute')
FROM pg_database AS own WHERE own.datname = current_database()";

/// Estimated from the server's statistics: reading the tables would cost more than it is worth. The size of a table that somebody
/// has locked cannot be had, so that this is asked for by itself.
const DEAD_BYTES: &str = "
SELECT coalesce(sum(coalesce(pg_relation_size(relid), 0) * (n_dead_tup::float8 / greatest(n_live_tup + n_dead_tup, 1))), 0)::float8
FROM pg_stat_user_tables";

const DIRECTORIES: &str = "SELECT (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::bigint, \
     (SELECT coalesce(sum(size), 0) FROM pg_ls_tmpdir())::bigint";

/// What one reading says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// To this database, soakd's own left out.
    pub connections: i64,
    /// Held or awaited in this database.
    pub locks: i64,
    /// Those that are awaited.
    pub waiting: i64,
    pub dead_rows: i64,
    /// What the dead rows take, estimated; unknown while a table is locked.
    pub dead_bytes: Option<f64>,
    pub database_bytes: i64,
    /// When the server was started, in seconds since 1970.
    pub started_s: i64,
    /// Write-ahead log and temporary files of the whole server, where this user may see them.
    pub server_bytes: Option<(i64, i64)>,
}

/// Why there are no figures; no text holds the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("the address of the PostgreSQL is malformed")]
    Address,
    #[error("PostgreSQL did not answer within {DEADLINE:?}")]
    Slow,
    #[error("PostgreSQL cannot be asked: {0}")]
    Failed(String),
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::Failed(said.message().to_owned()),
            // What goes wrong below the protocol is the cause, such as a refused connection.
            None => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Self::Failed(cause.unwrap_or_else(|| error.to_string()))
            }
        }
    }
}

/// One database.
pub struct Postgres {
    config: tokio_postgres::Config,
    live: Option<Client>,
}

impl Postgres {
    /// Takes an address such as `postgres://user@host/database`; nothing is connected yet.
    pub fn new(address: &str) -> Result<Self, PostgresError> {
        let mut config: tokio_postgres::Config = address.parse().map_err(|_| PostgresError::Address)?;
        config.application_name(NAME).connect_timeout(DEADLINE);
        Ok(Self { config, live: None })
    }

    /// Reads the figures, over a new connection if the last one broke.
    pub async fn read(&mut self) -> Result<Figures, PostgresError> {
        // Taken out, so that a reading that is given up leaves no connection in the middle of an answer.
        let live = self.live.take();
        let reading = async {
            let client = match live {
                Some(client) if !client.is_closed() => client,
                _ => connect(&self.config).await?,
            };
            let figures = ask(&client).await?;
            Ok((client, figures))
        };
        let (client, figures) = tokio::time::timeout(DEADLINE, reading).await.unwrap_or(Err(PostgresError::Slow))?;
        self.live = Some(client);
        Ok(figures)
    }
}

async fn connect(config: &tokio_postgres::Config) -> Result<Client, PostgresError> {
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with the client; what went wrong shows at the next question.
    tokio::spawn(connection);
    client.batch_execute(SESSION).await?;
    Ok(client)
}

async fn ask(client: &Client) -> Result<Figures, PostgresError> {
    let row = client.query_one(FIGURES, &[]).await?;
    let dead_bytes = match client.query_one(DEAD_BYTES, &[]).await {
        Ok(row) => Some(row.try_get(0)?),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => None,
        Err(other) => return Err(other.into()),
    };
    let may_list: bool = row.try_get(6)?;
    let server_bytes = if may_list {
        let row = client.query_one(DIRECTORIES, &[]).await?;
        Some((row.try_get(0)?, row.try_get(1)?))
    } else {
        None
    };
    Ok(Figures {
        connections: row.try_get(0)?,
        locks: row.try_get(1)?,
        waiting: row.try_get(2)?,
        dead_rows: row.try_get(3)?,
        dead_bytes,
        database_bytes: row.try_get(4)?,
        started_s: row.try_get(5)?,
        server_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_asked_says_why_and_never_the_address() {
        let error = Postgres::new("postgres://me:hidden-word@127.0.0.1:0x/db").err().expect("malformed");
        assert!(!error.to_string().contains("hidden-word"));
        let mut nobody = Postgres::new("postgres://me:hidden-word@127.0.0.1:1/db").expect("an address");
        let error = nobody.read().await.expect_err("nobody listens there").to_string();
        assert!(error.contains("refused") && !error.contains("hidden-word"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("postgres://me@{}/db", silent.local_addr().expect("an address"));
        let error = Postgres::new(&address).expect("an address").read().await.expect_err("no answer");
        assert!(matches!(error, PostgresError::Slow), "{error}");
    }
}
