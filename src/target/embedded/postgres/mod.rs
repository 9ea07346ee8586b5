//! The PostgreSQL store: a real table with real policies, and batches that run as a role without privileges.
//!
//! PostgreSQL decides who may change a row; this code only finds out which rows it refused. One connection writes and one
//! reads, each opened again when it broke.

pub(super) mod claim;
mod pull;
mod push;
mod schema;

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, NoTls};

use super::token::{NewToken, TokenError, judge};
use super::{Identity, JsonRows, Page, Pull, Push, PushReply, RowList, Store, StoreError, now_ms};
use crate::model::digest::TableDigest;
use crate::model::measure::Holdings;
use crate::model::schema::TableSpec;
use schema::Layout;

/// The store.
pub struct PostgresStore {
    url: String,
    layout: Layout,
    /// Nothing once the store is closed.
    writer: Mutex<Option<Client>>,
    reader: Mutex<Option<Client>>,
}

/// A connection that is held for one piece of work.
struct Held<'a>(MutexGuard<'a, Option<Client>>);

impl Held<'_> {
    fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.0.as_mut().ok_or(StoreError::Closed)
    }
}

impl PostgresStore {
    /// Connects and creates what is missing.
    pub async fn open(url: &str, table: &TableSpec, rls: bool) -> Result<Self, StoreError> {
        let layout = Layout::new(table, rls);
        let (mut writer, reader) = (connect(url).await?, connect(url).await?);
        let failed = |error: tokio_postgres::Error| StoreError::Open { place: place(url), cause: describe(&error) };
        let transaction = writer.transaction().await.map_err(failed)?;
        transaction.batch_execute(&layout.create).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Self { url: url.to_owned(), layout, writer: Mutex::new(Some(writer)), reader: Mutex::new(Some(reader)) })
    }

    async fn hold<'a>(&self, slot: &'a Mutex<Option<Client>>) -> Result<Held<'a>, StoreError> {
        let mut guard = slot.lock().await;
        match guard.as_ref() {
            None => return Err(StoreError::Closed),
            Some(client) if client.is_closed() => *guard = Some(connect(&self.url).await?),
            Some(_) => {}
        }
        Ok(Held(guard))
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn push(&self, push: Push) -> Result<PushReply, StoreError> {
        let mut held = self.hold(&self.writer).await?;
        push::push(held.client()?, &self.layout, &push).await
    }

    async fn pull(&self, pull: Pull) -> Result<Page, StoreError> {
        if pull.after == 0 && !pull.client.is_empty() {
            // From its first page on, a client must find every tombstone that comes after it.
            pull::note(self.hold(&self.writer).await?.client()?, &self.layout, &pull).await?;
        }
        let page = pull::pull(self.hold(&self.reader).await?.client()?, &self.layout, &pull).await?;
        if !pull.client.is_empty() && !page.reset {
            pull::note(self.hold(&self.writer).await?.client()?, &self.layout, &pull).await?;
        }
        Ok(page)
    }

    async fn digest(&self, owner: Option<String>) -> Result<TableDigest, StoreError> {
        pull::digest(self.hold(&self.reader).await?.client()?, &self.layout, owner).await
    }

    async fn rows(&self, owner: Option<String>, buckets: Vec<usize>, limit: usize) -> Result<RowList, StoreError> {
        pull::rows(self.hold(&self.reader).await?.client()?, &self.layout, owner, &buckets, limit).await
    }

    async fn holdings(&self) -> Result<Holdings, StoreError> {
        let row = self.hold(&self.reader).await?.client()?.query_one(&self.layout.holdings, &[]).await?;
        let count = |at| row.get::<_, i64>(at).unsigned_abs();
        Ok(Holdings { rows: count(0), tombstones: count(1), metadata: count(2) })
    }

    async fn sql(&self, sql: String) -> Result<JsonRows, StoreError> {
        pull::sql(self.hold(&self.writer).await?.client()?, &sql).await
    }

    async fn add_token(&self, token: NewToken) -> Result<(), StoreError> {
        let insert = "INSERT INTO soakd_token (hash, user_id, name, expires_ms) VALUES ($1, $2, $3, $4)";
        let mut held = self.hold(&self.writer).await?;
        held.client()?
            .execute(insert, &[&token.hash.as_slice(), &token.user_id, &token.name, &token.expires_at_ms])
            .await?;
        Ok(())
    }

    async fn find_token(&self, hash: [u8; 32]) -> Result<Result<String, TokenError>, StoreError> {
        let select = "SELECT user_id, expires_ms, revoked FROM soakd_token WHERE hash = $1";
        let found = self.hold(&self.reader).await?.client()?.query_opt(select, &[&hash.as_slice()]).await?;
        Ok(found.map_or(Err(TokenError::Garbage), |row| judge(row.get(0), row.get(1), row.get(2), now_ms())))
    }

    async fn revoke_token(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        let update = "UPDATE soakd_token SET revoked = true WHERE hash = $1";
        Ok(self.hold(&self.writer).await?.client()?.execute(update, &[&hash.as_slice()]).await? > 0)
    }

    async fn close(&self) {
        *self.writer.lock().await = None;
        *self.reader.lock().await = None;
    }
}

/// Returns the group of replicas that an identity belongs to.
fn group_of<'a>(identity: &'a Identity, layout: &Layout) -> &'a str {
    match identity {
        Identity::User(user) if layout.rls => user,
        _ => "",
    }
}

async fn connect(url: &str) -> Result<Client, StoreError> {
    let failed = |error: tokio_postgres::Error| StoreError::Open { place: place(url), cause: describe(&error) };
    let mut config: tokio_postgres::Config = url.parse().map_err(failed)?;
    config.connect_timeout(std::time::Duration::from_secs(10)).application_name("soakd target");
    let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(error = describe(&error), "connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

/// Returns where a database is, without the password.
fn place(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, place)) => format!("postgres://{place}"),
        None => url.to_owned(),
    }
}

/// Returns an error with its causes: the outermost text alone says little.
fn describe(error: &tokio_postgres::Error) -> String {
    let mut text =
        error.as_db_error().map_or_else(|| error.to_string(), |db| format!("{} ({})", db.message(), db.code().code()));
    let mut cause = std::error::Error::source(error).filter(|_| error.as_db_error().is_none());
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(describe(&error))
    }
}

#[cfg(test)]
mod tests;
