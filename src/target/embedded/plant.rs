//! Planted bugs: ways to break the server on purpose, so that it can be shown that the checkers notice.
//!
//! It stands between the server and any store, and is out of the way when nothing is planted. The row-level bugs hit a few
//! victim rows only. To add one: a variant of [`Bug`] with its name, and its place in `push` or `pull`. What makes the server
//! slower or lets it grow is in [`burden`].

pub mod burden;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::policy::Grants;
use super::proto::Batch;
use super::token::TokenError;
use super::{Identity, Page, Pull, Push, PushReply, Store, StoreError};
use crate::model::ids::RowKey;
use crate::model::value::{Cell, Value};
use burden::{Burden, Burdens};

/// Pushes between a victim's delete and its return.
const RESURRECT_AFTER: u64 = 2;
/// Pushes with content before one is acknowledged and lost: the next one is the last of the second iteration where four
/// databases delete, insert and update in turns, so that no later write covers the loss up.
const CRASH_AFTER: u64 = 19;
/// Added to a victim's row number for its twin.
const TWIN_OFFSET: u32 = 900_000;
/// Victims that are remembered.
const MAX_VICTIMS: usize = 10_000;

macro_rules! bugs {
    ($($name:literal => $variant:ident,)*) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Bug { $($variant,)* }

        /// The names under which bugs are planted.
        pub const BUGS: &[(&str, Bug)] = &[$(($name, Bug::$variant),)*];
    };
}

bugs! {
    "leak-foreign-row" => LeakForeignRow,
    "drop-change" => DropChange,
    "stale-row" => StaleRow,
    "resurrect-row" => ResurrectRow,
    "duplicate-row" => DuplicateRow,
    "forged-insert" => ForgedInsert,
    "forged-update" => ForgedUpdate,
    "forged-delete" => ForgedDelete,
    "forged-owner" => ForgedOwner,
    "no-token" => NoToken,
    "expired-token" => ExpiredToken,
    "revoked-token" => RevokedToken,
    "ack-before-commit" => AckBeforeCommit,
}

/// Says whether the row-level bugs hit this row: the fourth row of every iteration of the first database.
pub fn is_victim(key: &str) -> bool {
    key.starts_with("db1_") && key.ends_with("_3")
}

/// The planted bugs of a server; none by default.
#[derive(Default)]
pub struct Planter {
    bugs: HashSet<Bug>,
    burdens: Burdens,
    memory: Mutex<Memory>,
    /// What ends the process; absent means an abort.
    crash: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Memory {
    victims: HashMap<String, Victim>,
    first_user: Option<String>,
    /// Victims that are to come back, and at which push.
    due: Vec<(u64, String)>,
    /// Which version of which victim was leaked to which client.
    leaked: HashMap<String, (String, u64)>,
    pushes: u64,
    last_seq: u64,
    version: u64,
    crashing: bool,
}

struct Victim {
    owner: String,
    current: Vec<Value>,
    previous: Option<Vec<Value>>,
    alive: bool,
    version: u64,
}

/// Something that can be planted.
enum Plant {
    Bug(Bug),
    Burden(Burden),
}

/// Reads what is to be planted; the error says what can be.
fn plant(text: &str) -> Result<Plant, String> {
    if let Some((_, bug)) = BUGS.iter().find(|(known, _)| *known == text) {
        return Ok(Plant::Bug(*bug));
    }
    if let Some(burden) = burden::parse(text) {
        return burden.map(Plant::Burden);
    }
    let known: Vec<&str> = BUGS.iter().map(|(known, _)| *known).chain(burden::FORMS.iter().copied()).collect();
    Err(format!("there is no bug {text:?} to plant; there are {}", known.join(", ")))
}

/// Returns what is wrong with something that is to be planted, if anything is.
pub fn problem(text: &str) -> Option<String> {
    plant(text).err()
}

impl Planter {
    /// Reads what is to be planted; refused unless the server is started for testing.
    pub fn new(names: &[String], testing: bool) -> Result<Self, StoreError> {
        if !names.is_empty() && !testing {
            return Err(StoreError::BadRequest("planted bugs are only permitted with --testing".into()));
        }
        let (mut bugs, mut burdens) = (HashSet::new(), Vec::new());
        for name in names {
            match plant(name).map_err(StoreError::BadRequest)? {
                Plant::Bug(bug) => drop(bugs.insert(bug)),
                Plant::Burden(burden) => burdens.push(burden),
            }
        }
        Ok(Self { bugs, burdens: Burdens::new(burdens), ..Self::default() })
    }

    /// Does the work of one request of a client under all burdens that are planted.
    pub async fn bear<T>(&self, work: impl Future<Output = T>) -> T {
        self.burdens.bear(work).await
    }

    /// Returns the pages after which a SQLite store is to checkpoint its log, if that is planted; never at 0.
    pub fn wal_pages(&self) -> Option<u32> {
        self.burdens.wal_pages()
    }

    /// Returns the version that the server is to give of itself, if one is planted.
    pub fn version(&self) -> Option<&str> {
        self.burdens.version()
    }

    #[cfg(test)]
    fn on_crash(mut self, crash: impl Fn() + Send + Sync + 'static) -> Self {
        self.crash = Some(Box::new(crash));
        self
    }

    fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the rules that are not enforced.
    pub fn grants(&self) -> Grants {
        Grants {
            insert: self.has(Bug::ForgedInsert),
            update: self.has(Bug::ForgedUpdate),
            delete: self.has(Bug::ForgedDelete),
            owner_change: self.has(Bug::ForgedOwner),
        }
    }

    /// Returns the user to serve in spite of a token error.
    pub fn admit(&self, error: TokenError) -> Option<String> {
        let bug = match error {
            TokenError::Missing => Bug::NoToken,
            TokenError::Expired => Bug::ExpiredToken,
            TokenError::Revoked => Bug::RevokedToken,
            TokenError::Garbage => return None,
        };
        if self.has(bug) { self.memory().first_user.clone() } else { None }
    }

    fn meet(&self, identity: &Identity) {
        if let Identity::User(user) = identity {
            self.memory().first_user.get_or_insert_with(|| user.clone());
        }
    }

    /// Hands a push to the store, with what is planted.
    pub async fn push(&self, store: &dyn Store, push: Push) -> Result<PushReply, StoreError> {
        if self.bugs.is_empty() {
            return store.push(push).await;
        }
        self.meet(&push.identity);
        if !push.batch.is_empty()
            && let Some(reply) = self.lose(push.batch.len() as u64).await
        {
            return Ok(reply);
        }
        let original = push.batch.clone();
        let mut push = push;
        let owner = match &push.identity {
            Identity::User(user) => user.clone(),
            Identity::Admin => String::new(),
        };
        if self.has(Bug::DropChange) {
            push.batch = rewritten(&original, |key, _| if is_victim(key) { Rewrite::Drop } else { Rewrite::Keep })?;
        }
        let dropped = (original.len() - push.batch.len()) as u64;
        let mut reply = store.push(push).await?;
        reply.applied += dropped;
        let planted = self.observe(&original, &owner, &reply)?;
        if !planted.is_empty() {
            let grants = Grants::default();
            let push = Push { identity: Identity::Admin, client: String::new(), batch_no: 0, batch: planted, grants };
            store.push(push).await?;
        }
        Ok(reply)
    }

    /// Acknowledges a push without applying it when its time has come, and ends the process behind the answer.
    async fn lose(&self, changes: u64) -> Option<PushReply> {
        if !self.has(Bug::AckBeforeCommit) {
            return None;
        }
        let (crashing, first) = {
            let mut memory = self.memory();
            let due = memory.pushes >= CRASH_AFTER;
            let crashing = std::mem::replace(&mut memory.crashing, due);
            (crashing, due.then_some(memory.last_seq + 1))
        };
        if crashing {
            // Nothing else is answered on the way down.
            return std::future::pending().await;
        }
        let seq_first = first?;
        match &self.crash {
            Some(crash) => crash(),
            None => drop(tokio::spawn(async {
                // The answer has to reach the client first.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                std::process::abort();
            })),
        }
        Some(PushReply { applied: changes, refused: Vec::new(), seq_first, seq_last: seq_first + changes - 1 })
    }

    /// Remembers the victims of an accepted push, and returns what is to be stored besides.
    fn observe(&self, batch: &Batch, owner: &str, reply: &PushReply) -> Result<Batch, StoreError> {
        let refused: HashSet<&str> = reply.refused.iter().map(|refusal| refusal.key.as_str()).collect();
        let mut guard = self.memory();
        let memory = &mut *guard;
        memory.last_seq = memory.last_seq.max(reply.seq_last);
        memory.pushes += u64::from(!batch.is_empty());
        let mut planted = Batch::default();
        let (mut cells, mut changes) = (Vec::new(), batch.changes());
        while let Some(change) = changes.next(&mut cells).map_err(|e| StoreError::Failed(e.to_string()))? {
            if !is_victim(change.key) || refused.contains(change.key) {
                continue;
            }
            if !change.upsert {
                if let Some(victim) = memory.victims.get_mut(change.key) {
                    victim.alive = false;
                    memory.due.push((memory.pushes + RESURRECT_AFTER, change.key.to_owned()));
                }
                continue;
            }
            memory.remember(change.key, owner, &cells);
            if self.has(Bug::DuplicateRow)
                && let Some(key) = RowKey::parse(change.key)
            {
                let twin = RowKey { row: key.row.saturating_add(TWIN_OFFSET), ..key }.to_string();
                let copied =
                    cells.iter().map(|cell| if *cell == Cell::Text(change.key) { Cell::Text(&twin) } else { *cell });
                planted.upsert(&twin, copied);
            }
        }
        let pushes = memory.pushes;
        let (due, later) = std::mem::take(&mut memory.due).into_iter().partition::<Vec<_>, _>(|(at, _)| *at <= pushes);
        memory.due = later;
        for (_, key) in due {
            if let Some(victim) = memory.victims.get(&key).filter(|_| self.has(Bug::ResurrectRow)) {
                planted.upsert(&key, victim.current.iter().map(Value::cell));
            }
        }
        Ok(planted)
    }

    /// Hands a pull to the store, with what is planted.
    pub async fn pull(&self, store: &dyn Store, pull: Pull) -> Result<Page, StoreError> {
        if self.bugs.is_empty() {
            return store.pull(pull).await;
        }
        self.meet(&pull.identity);
        let (identity, client) = (pull.identity.clone(), pull.client.clone());
        let mut page = store.pull(pull).await?;
        if self.has(Bug::StaleRow) {
            let memory = self.memory();
            page.batch = rewritten(&page.batch, |key, upsert| {
                let previous = memory.victims.get(key).filter(|_| upsert).and_then(|victim| victim.previous.as_ref());
                previous.map_or(Rewrite::Keep, Rewrite::Row)
            })?;
        }
        if let (true, Identity::User(user), false) = (self.has(Bug::LeakForeignRow), &identity, page.reset) {
            self.memory().leak(user, &client, &mut page.batch);
        }
        Ok(page)
    }
}

impl Memory {
    fn remember(&mut self, key: &str, owner: &str, cells: &[Cell<'_>]) {
        if self.victims.len() >= MAX_VICTIMS && !self.victims.contains_key(key) {
            return;
        }
        self.version += 1;
        let current: Vec<Value> = cells.iter().map(|cell| cell.to_value()).collect();
        let previous = self.victims.remove(key).filter(|victim| victim.alive).map(|victim| victim.current);
        let owner = owner.to_owned();
        let victim = Victim { owner, current, previous, alive: true, version: self.version };
        self.victims.insert(key.to_owned(), victim);
    }

    /// Adds the newest victim to the page of somebody else, once for each of its versions.
    fn leak(&mut self, user: &str, client: &str, batch: &mut Batch) {
        let others = self.victims.iter().filter(|(_, victim)| victim.alive && victim.owner != user);
        let Some((key, victim)) = others.max_by_key(|(_, victim)| victim.version) else { return };
        let leak = (key.clone(), victim.version);
        if self.leaked.get(client) != Some(&leak) {
            batch.upsert(key, victim.current.iter().map(Value::cell));
            self.leaked.insert(client.to_owned(), leak);
        }
    }
}

/// What becomes of a change.
enum Rewrite<'a> {
    Keep,
    Drop,
    Row(&'a Vec<Value>),
}

fn rewritten<'a>(batch: &Batch, mut decide: impl FnMut(&str, bool) -> Rewrite<'a>) -> Result<Batch, StoreError> {
    let (mut result, mut cells, mut changes) = (Batch::default(), Vec::new(), batch.changes());
    while let Some(change) = changes.next(&mut cells).map_err(|e| StoreError::Failed(e.to_string()))? {
        match decide(change.key, change.upsert) {
            Rewrite::Keep => result.copy(change, &cells),
            Rewrite::Drop => {}
            Rewrite::Row(row) => result.upsert(change.key, row.iter().map(Value::cell)),
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests;
