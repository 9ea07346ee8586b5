//! The client's state: the second connection, what it remembers in the file, and the network while there is one.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::http::Network;
use super::{ClientError, NativeOptions, tracking};
use crate::model::schema::{TableSpec, quote};

/// Everything behind the functions of one connection.
pub(super) struct ClientState {
    pub(super) connection: Connection,
    pub(super) table: TableSpec,
    options: NativeOptions,
    client_id: String,
    network: Option<Network>,
}

impl ClientState {
    /// Opens the second connection, and gives the file an identity when it has none.
    pub(super) fn open(path: &Path, table: &TableSpec, options: NativeOptions) -> Result<Self, ClientError> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; \
             PRAGMA wal_autocheckpoint = 4000; PRAGMA foreign_keys = OFF;",
        )?;
        // Rows that come from the server are not the user's changes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", tracking::TABLES))?;
        let fresh = uuid::Uuid::from_bytes(rand::random()).to_string();
        connection.execute("INSERT OR IGNORE INTO soakd_client_state VALUES ('client', ?1)", [&fresh])?;
        let client_id = read_state(&connection, "client")?.unwrap_or(fresh);
        Ok(Self { connection, table: table.clone(), options, client_id, network: None })
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(super) fn site_id(&self) -> Vec<u8> {
        self.client_id.parse::<uuid::Uuid>().map_or_else(|_| vec![0; 16], |id| id.as_bytes().to_vec())
    }

    fn require(&self, table: &str) -> Result<(), ClientError> {
        if table != self.table.name {
            return Err(ClientError::Usage(format!(
                "Table {table} is not the one that is synced here, {}",
                self.table.name
            )));
        }
        let found = self.connection.query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [table],
            |_| Ok(()),
        );
        found.optional()?.ok_or_else(|| ClientError::Usage(format!("Table {table} does not exist")))
    }

    /// Starts tracking a table; rows that are there already are sent too, once.
    pub(super) fn init_table(&mut self, table: &str) -> Result<(), ClientError> {
        self.require(table)?;
        if tracking::has_triggers(&self.connection, &self.table)? {
            return Ok(());
        }
        if read_state::<i64>(&self.connection, "initialised")?.is_none() {
            self.enqueue_all()?;
            write_state(&self.connection, "initialised", 1)?;
        }
        Ok(tracking::create_triggers(&self.connection, &self.table)?)
    }

    pub(super) fn cleanup_table(&mut self, table: &str) -> Result<(), ClientError> {
        self.require(table)?;
        tracking::drop_triggers(&self.connection, &self.table)?;
        self.connection.execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM soakd_outbox; DELETE FROM soakd_client_state WHERE name <> 'client' AND name <> 'batch'; COMMIT;",
        )?;
        Ok(())
    }

    pub(super) fn enable(&mut self, table: &str, on: bool) -> Result<(), ClientError> {
        self.require(table)?;
        if on {
            tracking::create_triggers(&self.connection, &self.table)?;
        } else {
            tracking::drop_triggers(&self.connection, &self.table)?;
        }
        Ok(())
    }

    pub(super) fn is_tracked(&self, table: &str) -> Result<bool, ClientError> {
        Ok(table == self.table.name && tracking::has_triggers(&self.connection, &self.table)?)
    }

    /// Returns the last local change and the last one that was acknowledged.
    pub(super) fn versions(&self) -> Result<(i64, i64), ClientError> {
        let acked = read_state(&self.connection, "acked")?.unwrap_or(0);
        let last: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM soakd_outbox")?
            .query_row([], |row| row.get(0))?;
        Ok((last.max(acked), acked))
    }

    pub(super) fn has_unsent(&self) -> Result<bool, ClientError> {
        self.versions().map(|(last, acked)| last > acked)
    }

    /// Takes over the settings that exist here; others are remembered and have no effect.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), ClientError> {
        let seconds =
            || value.parse::<u64>().map_err(|_| ClientError::Usage(format!("{key} must be a number of seconds")));
        match key {
            "network_connect_timeout" => self.options.connect_ms = seconds()?.saturating_mul(1000),
            "network_request_timeout" => self.options.request_ms = seconds()?.saturating_mul(1000),
            _ => write_state(&self.connection, &format!("set.{key}"), value)?,
        }
        Ok(())
    }

    pub(super) fn network_init(&mut self, address: &str, database: &str) -> Result<(), ClientError> {
        if database.is_empty() {
            return Err(ClientError::Usage("managedDatabaseId cannot be empty".into()));
        }
        self.network = Some(Network::open(address, self.options)?);
        Ok(())
    }

    pub(super) fn network_cleanup(&mut self) {
        self.network = None;
    }

    pub(super) fn network(&self) -> Result<&Network, ClientError> {
        self.network.as_ref().ok_or_else(|| ClientError::Usage("there is no network: call network_init first".into()))
    }

    pub(super) fn set_credential(&mut self, text: &str) -> Result<(), ClientError> {
        match &mut self.network {
            Some(network) => network.set_credential(text),
            None => Err(ClientError::Usage("there is no network: call network_init first".into())),
        }
    }

    /// Puts every row into the outbox.
    fn enqueue_all(&self) -> Result<(), ClientError> {
        let (table, key) = (quote(&self.table.name), self.table.quoted(self.table.key));
        self.connection.execute(&format!("INSERT INTO soakd_outbox (key) SELECT {key} FROM {table}"), [])?;
        Ok(())
    }

    /// Sends and fetches everything again from the next call on.
    pub(super) fn reset_positions(&mut self) -> Result<(), ClientError> {
        let (table, key) = (quote(&self.table.name), self.table.quoted(self.table.key));
        self.connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; INSERT INTO soakd_outbox (key) SELECT {key} FROM {table}; \
             INSERT OR REPLACE INTO soakd_client_state VALUES ('pulled', 0), ('full', 1); COMMIT;"
        ))?;
        Ok(())
    }

    /// Deletes the local rows and forgets the credential; the server's rows stay.
    pub(super) fn logout(&mut self) -> Result<(), ClientError> {
        self.connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; DELETE FROM {}; DELETE FROM soakd_outbox; \
             DELETE FROM soakd_client_state WHERE name IN ('acked', 'inflight'); \
             INSERT OR REPLACE INTO soakd_client_state VALUES ('pulled', 0), ('full', 1); COMMIT;",
            quote(&self.table.name)
        ))?;
        self.network = None;
        Ok(())
    }
}

pub(super) fn read_state<T: FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached("SELECT value FROM soakd_client_state WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn write_state(connection: &Connection, name: &str, value: impl ToSql) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO soakd_client_state VALUES (?1, ?2)")?
        .execute(rusqlite::params![name, value])
        .map(drop)
}
