//! The way to a server.

use std::time::{Duration, Instant};

use tokio::time::timeout_at;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::{Client, NoTls};

use super::error::{closed, made, of_connect};
use super::wire::{Broken, Wire, together};
use crate::model::finding::{Kind, Side};
use crate::target::sql::{Isolation, SqlError, Url};

/// Longest time that connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Connects, and sets what the workload asks for.
pub(super) async fn connect(
    url: &Url,
    isolation: Isolation,
    application: &str,
    deadline: Instant,
) -> Result<(Client, Wire), SqlError> {
    let place = url.place();
    let mut config: Config = url.0.parse().map_err(|error: tokio_postgres::Error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let message = format!(
            "The address of the database is not one of PostgreSQL: {why}. It looks like \
             postgres://user:password@host:5432/database."
        );
        made(Side::Client, Kind::Config, message, true)
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        let message = format!("{place} is to be spoken to with TLS, which soakd does not do there: take sslmode out.");
        return Err(made(Side::Network, Kind::Tls, message, true));
    }
    // Even where the address has a name: by this one the connections of this run are told from all others.
    config.application_name(application);
    let level = match isolation {
        Isolation::ReadCommitted => "SET default_transaction_isolation = 'read committed'",
        Isolation::RepeatableRead => "SET default_transaction_isolation = 'repeatable read'",
        Isolation::Serializable => "SET default_transaction_isolation = 'serializable'",
    };
    let connecting = async {
        let (client, connection) = config.connect(NoTls).await?;
        let mut wire = Wire::new(connection);
        together(&mut wire, async { Ok(client.batch_execute(level).await?) }).await?;
        Ok((client, wire))
    };
    let deadline = deadline.min(Instant::now() + CONNECT_LIMIT);
    match timeout_at(deadline.into(), connecting).await {
        Ok(Ok(both)) => Ok(both),
        Ok(Err(Broken::Postgres(error) | Broken::Closed(Some(error)))) => Err(of_connect(&error, &place)),
        Ok(Err(Broken::Closed(None))) => Err(closed(&place)),
        Ok(Err(Broken::Own(error))) => Err(error),
        Err(_) => {
            let message = format!("{place} did not take the connection in time. Look whether the server is well.");
            Err(made(Side::Network, Kind::Timeout, message, true))
        }
    }
}
