//! Which client has pulled up to where, and from that, which tombstones nobody needs any more.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::super::{HELD_MAX, Identity, Pull, now_ms};

/// A client that was not seen for this long no longer holds tombstones back, and is forgotten.
pub(super) const FORGET_AFTER_MS: i64 = 7 * 86_400_000;
/// A client that only ever pushed is forgotten after this long: all that is kept for it is the answer to its last batch.
const FORGET_PUSHER_AFTER_MS: i64 = 3_600_000;
/// Sequence numbers that a group's floor moves at once, so that pruning stays rare.
const PRUNE_STEP: u64 = 5_000;

/// A client that pulled: everything up to `pulled` is safe with it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    owner: String,
    client: String,
    pulled: u64,
}

impl Seen {
    /// Reads it from a pull; nothing for a client without a name.
    pub(super) fn of(pull: &Pull, rls: bool) -> Option<Self> {
        let owner = group_of(&pull.identity, rls).to_owned();
        (!pull.client.is_empty()).then(|| Self { owner, client: pull.client.clone(), pulled: pull.after })
    }
}

/// Returns the group of replicas that an identity belongs to.
pub(super) fn group_of(identity: &Identity, rls: bool) -> &str {
    match identity {
        Identity::User(user) if rls => user,
        _ => "",
    }
}

/// What is remembered of one client.
#[derive(Debug, Clone)]
pub(super) struct ClientRow {
    pub(super) id: i64,
    pub(super) batch_no: u64,
    pub(super) reply: Vec<u8>,
    /// How far it has pulled; a client that only pushes holds nothing back.
    pulled: Option<u64>,
    seen_ms: i64,
    dirty: bool,
}

#[derive(Debug, Default)]
struct Group {
    clients: HashMap<String, ClientRow>,
    floor: u64,
    pruned: u64,
}

/// All clients, by group.
#[derive(Debug, Default)]
pub(super) struct Clients {
    groups: HashMap<String, Group>,
    next_id: i64,
    dirty: bool,
}

impl Clients {
    /// Reads what the file remembers.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut clients = Self { next_id: 1, ..Self::default() };
        let mut statement = connection
            .prepare("SELECT owner, client, id, pulled, seen_ms, batch, coalesce(reply, x'') FROM soakd_client")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let client = ClientRow {
                id: row.get(2)?,
                pulled: u64::try_from(row.get::<_, i64>(3)?).ok(),
                seen_ms: row.get(4)?,
                batch_no: row.get::<_, i64>(5)? as u64,
                reply: row.get(6)?,
                dirty: false,
            };
            clients.next_id = clients.next_id.max(client.id + 1);
            clients.groups.entry(row.get(0)?).or_default().clients.insert(row.get(1)?, client);
        }
        let mut statement = connection.prepare("SELECT owner, floor FROM soakd_floor")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let group = clients.groups.entry(row.get(0)?).or_default();
            group.floor = row.get::<_, i64>(1)? as u64;
            group.pruned = group.floor;
        }
        Ok(clients)
    }

    /// Returns the client, known from now on.
    pub(super) fn get(&mut self, owner: &str, client: &str) -> &mut ClientRow {
        let group = self.groups.entry(owner.to_owned()).or_default();
        let next_id = &mut self.next_id;
        let dirty = &mut self.dirty;
        group.clients.entry(client.to_owned()).or_insert_with(|| {
            let id = *next_id;
            *next_id += 1;
            *dirty = true;
            ClientRow { id, batch_no: 0, reply: Vec::new(), pulled: None, seen_ms: now_ms(), dirty: true }
        })
    }

    /// Notes how far a client has pulled, at sequence number `seq` of the store.
    ///
    /// One that starts from zero needs no tombstone up to now: what it will read has not been deleted. One that was
    /// forgotten and is behind the floor has missed some, and stays forgotten until it starts from zero.
    pub(super) fn seen(&mut self, seen: &Seen, seq: u64) {
        let now = now_ms();
        let floor = self.groups.get(&seen.owner).map_or(0, |group| group.floor);
        let row = self.get(&seen.owner, &seen.client);
        let first = row.pulled.is_none();
        if first && seen.pulled > 0 && seen.pulled < floor {
            return;
        }
        row.pulled = match (row.pulled, seen.pulled) {
            (None, 0) => Some(seq),
            (before, pulled) => before.max(Some(pulled)),
        };
        row.seen_ms = now;
        row.dirty = true;
        self.dirty |= first;
        let Some(group) = self.groups.get_mut(&seen.owner) else { return };
        let held = group.clients.values().filter(|c| now - c.seen_ms < FORGET_AFTER_MS).filter_map(|c| c.pulled).min();
        // A client that is too far behind starts over rather than holding back what all others are done with.
        let most = group.clients.values().filter_map(|c| c.pulled).max().unwrap_or(0);
        let bound = most.saturating_sub(HELD_MAX);
        if let Some(least) = held.map(|least| least.max(bound)).filter(|least| *least >= group.floor + PRUNE_STEP) {
            group.floor = least;
            self.dirty = true;
            for client in group.clients.values_mut().filter(|c| c.pulled.is_some_and(|pulled| pulled < bound)) {
                (client.pulled, client.dirty) = (None, true);
            }
        }
    }

    /// Notes the answer to a client's last batch.
    pub(super) fn answered(&mut self, owner: &str, client: &str, batch_no: u64, reply: Vec<u8>) {
        let row = self.get(owner, client);
        (row.batch_no, row.reply, row.seen_ms, row.dirty) = (batch_no, reply, now_ms(), true);
    }

    /// Says whether something waits that is worth a transaction of its own.
    pub(super) fn wants_saving(&self) -> bool {
        self.dirty
    }

    /// Writes what changed and prunes what nobody needs, within the caller's transaction.
    pub(super) fn save(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO soakd_client (id, owner, client, pulled, seen_ms, batch, reply) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT (id) DO UPDATE SET pulled = ?4, seen_ms = ?5, batch = ?6, reply = ?7",
        )?;
        let forgotten = now_ms() - FORGET_AFTER_MS;
        let pusher_forgotten = now_ms() - FORGET_PUSHER_AFTER_MS;
        connection
            .prepare_cached("DELETE FROM soakd_client WHERE seen_ms < ?1 OR (pulled < 0 AND seen_ms < ?2)")?
            .execute([forgotten, pusher_forgotten])?;
        for (owner, group) in &mut self.groups {
            group.clients.retain(|_, client| {
                let since = if client.pulled.is_some() { forgotten } else { pusher_forgotten };
                client.dirty || client.seen_ms >= since
            });
            for (name, client) in group.clients.iter_mut().filter(|(_, client)| client.dirty) {
                upsert.execute(params![
                    client.id,
                    owner,
                    name,
                    client.pulled.map_or(-1, |pulled| pulled as i64),
                    client.seen_ms,
                    client.batch_no as i64,
                    client.reply
                ])?;
                client.dirty = false;
            }
            if group.floor > group.pruned {
                connection
                    .prepare_cached("DELETE FROM soakd_tombstone WHERE owner = ?1 AND seq <= ?2")?
                    .execute(params![owner, group.floor as i64])?;
                connection
                    .prepare_cached("INSERT OR REPLACE INTO soakd_floor VALUES (?1, ?2)")?
                    .execute(params![owner, group.floor as i64])?;
                group.pruned = group.floor;
            }
        }
        self.dirty = false;
        Ok(())
    }
}
