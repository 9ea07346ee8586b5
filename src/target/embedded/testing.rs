//! A server on a free port for tests, with its own runtime, and replicas that sync through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::client::{NativeOptions, register};
use super::plant::Planter;
use super::proto::Batch;
use super::server::{ServerConfig, serve};
use super::sqlite::SqliteStore;
use super::token::{self, NewToken};
use super::{Identity, Pull, Push, Store};
use crate::model::schema::TableSpec;
use crate::model::value::Cell;

/// The API key of test servers.
pub(super) const KEY: &str = "test-key";

/// A running server; it stops when it is dropped.
pub(super) struct TestServer {
    pub(super) address: String,
    pub(super) store: Arc<dyn Store>,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    done: Option<tokio::task::JoinHandle<()>>,
}

impl TestServer {
    pub(super) fn start(dir: &Path, rls: bool, planter: Planter) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&dir.join("server.db"), &TableSpec::seed(), rls).unwrap());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let config = ServerConfig { api_key: SecretString::from(KEY), rls, store: Arc::clone(&store), planter };
        let done = runtime.spawn(async move {
            serve(listener, config, async move { drop(stopped.await) }).await.unwrap();
        });
        Self { address, store, runtime, stop: Some(stop), done: Some(done) }
    }

    pub(super) fn token(&self, user: &str, expires_at_ms: Option<i64>) -> String {
        let text = token::generate();
        let token = NewToken { hash: token::hash(&text), user_id: user.into(), name: "test".into(), expires_at_ms };
        self.runtime.block_on(self.store.add_token(token)).unwrap();
        text
    }

    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Opens a replica that is ready to sync.
    pub(super) fn replica(&self, path: PathBuf, credential: &str) -> Replica {
        let replica = Replica::open(path);
        replica.text(&format!("SELECT cloudsync_network_init_custom('{}', 'db')", self.address));
        replica.text(&format!("SELECT cloudsync_network_set_token('{credential}')"));
        replica
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(done) = self.done.take() {
            let _ =
                self.runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), done).await });
        }
    }
}

/// A database file with the native provider on it.
pub(super) struct Replica(pub(super) Connection);

impl Replica {
    pub(super) fn open(path: PathBuf) -> Self {
        let connection = Connection::open(&path).unwrap();
        let table = TableSpec::seed();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;").unwrap();
        connection.execute_batch(&table.ddl.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")).unwrap();
        register(&connection, &path, &table, NativeOptions { connect_ms: 2_000, request_ms: 20_000 }).unwrap();
        let replica = Self(connection);
        replica.text("SELECT cloudsync_init('test_sync')");
        replica
    }

    pub(super) fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }

    /// Runs a query that returns one value, and returns it as text.
    pub(super) fn text(&self, sql: &str) -> String {
        self.try_text(sql).unwrap()
    }

    pub(super) fn try_text(&self, sql: &str) -> Result<String, rusqlite::Error> {
        self.0.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).map(|value| match value {
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
    }

    pub(super) fn send(&self) -> serde_json::Value {
        serde_json::from_str(&self.text("SELECT cloudsync_network_send_changes()")).unwrap()
    }

    pub(super) fn receive(&self) -> serde_json::Value {
        serde_json::from_str(&self.text("SELECT cloudsync_network_receive_changes()")).unwrap()
    }

    /// Returns all rows as `key=value` texts in the order of their keys.
    pub(super) fn rows(&self) -> Vec<String> {
        let mut statement =
            self.0.prepare("SELECT id || '=' || coalesce(value, 'NULL') FROM test_sync ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

/// Builds a batch of the seed's rows: (key, owner, value) upserts, and deletes where there is no owner.
pub(super) fn batch(changes: &[(&str, Option<&str>, i64)]) -> Batch {
    let mut batch = Batch::default();
    for (key, owner, value) in changes {
        match owner {
            Some(owner) => {
                let cells = [Cell::Text(key), Cell::Text(owner), Cell::Text("w"), Cell::Int(*value)];
                batch.upsert(key, cells.into_iter());
            }
            None => batch.delete(key),
        }
    }
    batch
}

/// Builds a push of a user; batch number 0 is for the nameless client.
pub(super) fn push(user: &str, client: &str, batch_no: u64, changes: &[(&str, Option<&str>, i64)]) -> Push {
    let identity = Identity::User(user.into());
    Push { identity, client: client.into(), batch_no, batch: batch(changes), grants: Default::default() }
}

/// Builds a pull of a user.
pub(super) fn pull(user: &str, client: &str, after: u64) -> Pull {
    Pull { identity: Identity::User(user.into()), client: client.into(), after, limit_bytes: 1 << 20, full: false }
}

/// Shows a batch as `key=value` and `-key` texts.
pub(super) fn shown(batch: &Batch) -> Vec<String> {
    let (mut cells, mut texts, mut changes) = (Vec::new(), Vec::new(), batch.changes());
    while let Some(change) = changes.next(&mut cells).unwrap() {
        texts.push(match cells.get(3) {
            Some(Cell::Int(value)) => format!("{}={value}", change.key),
            _ => format!("-{}", change.key),
        });
    }
    texts
}
