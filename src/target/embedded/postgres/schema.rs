//! The PostgreSQL store's tables, role and policies, and its statements.

use crate::model::schema::{ColumnKind, TableSpec, quote};

/// The role that clients' changes run as.
pub(super) const ROLE: &str = "soakd_client";

/// Everything that depends on the synced table.
pub(super) struct Layout {
    pub(super) spec: TableSpec,
    pub(super) rls: bool,
    pub(super) create: String,
    /// Inserts or replaces a set of rows, given as one array per column.
    pub(super) upsert: String,
    pub(super) owner_of: String,
    pub(super) delete: String,
    pub(super) existing: String,
    pub(super) live: String,
    pub(super) tombstones: String,
    pub(super) scan: String,
    pub(super) holdings: String,
}

impl Layout {
    pub(super) fn new(spec: &TableSpec, rls: bool) -> Self {
        let (table, key, owner) = (quote(&spec.name), spec.quoted(spec.key), spec.quoted(spec.owner));
        let (columns, width) = (spec.column_list(), spec.columns.len());
        let arrays: Vec<String> = (0..width).map(|i| format!("${}::{}[]", i + 1, kind(spec, i))).collect();
        let sets: Vec<String> =
            (0..width).filter(|i| *i != spec.key).map(|i| format!("{0} = excluded.{0}", spec.quoted(i))).collect();
        let row_columns = (0..width).map(|i| format!("r.{}", spec.quoted(i))).collect::<Vec<_>>().join(", ");
        let mine = |alias: &str, column: &str| format!("($3::text IS NULL OR {alias}.{column} = $3)");
        let alive = if rls { format!("AND ($3::text IS NULL OR r.{owner} = $3)") } else { String::new() };
        Self {
            create: create(spec, rls),
            upsert: format!(
                "INSERT INTO {table} ({columns}, _seq, _origin) SELECT u.*, ${}::bigint FROM unnest({}, ${}::bigint[]) AS u \
                 ON CONFLICT ({key}) DO UPDATE SET {}, _seq = excluded._seq, _origin = excluded._origin",
                width + 2,
                arrays.join(", "),
                width + 1,
                sets.join(", ")
            ),
            owner_of: format!("SELECT {owner} FROM {table} WHERE {key} = $1"),
            delete: format!("DELETE FROM {table} WHERE {key} = ANY($1) RETURNING {key}, {owner}"),
            existing: format!("SELECT {key} FROM {table} WHERE {key} = ANY($1)"),
            live: format!(
                "SELECT {row_columns}, r._seq FROM {table} AS r WHERE r._seq > $1 AND r._origin <> $2 AND {} ORDER BY r._seq LIMIT $4",
                if rls { mine("r", &owner) } else { "$3::text IS NULL".into() }
            ),
            tombstones: format!(
                "SELECT d.key, d.seq FROM soakd_tombstone AS d WHERE d.seq > $1 AND d.origin <> $2 AND {} \
                 AND NOT EXISTS (SELECT 1 FROM {table} AS r WHERE r.{key} = d.key {alive}) ORDER BY d.seq LIMIT $4",
                mine("d", "owner")
            ),
            scan: format!("SELECT {columns} FROM {table} WHERE $1::text IS NULL OR {owner} = $1"),
            holdings: format!(
                "SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM soakd_tombstone), (SELECT count(*) FROM \
                 soakd_client_state) + (SELECT count(*) FROM soakd_token) + (SELECT count(*) FROM soakd_floor)"
            ),
            spec: spec.clone(),
            rls,
        }
    }
}

fn create(spec: &TableSpec, rls: bool) -> String {
    let (table, owner) = (quote(&spec.name), spec.quoted(spec.owner));
    let definitions: Vec<String> = (0..spec.columns.len())
        .map(|i| {
            let not_null = if spec.columns[i].not_null { " NOT NULL" } else { "" };
            format!("{} {}{not_null}", spec.quoted(i), kind(spec, i))
        })
        .collect();
    let mine = format!("{owner} = current_setting('soakd.user_id', true)");
    let policy = |verb: &str, rule: &str| {
        let name = format!("soakd_{}", verb.to_lowercase());
        format!("DROP POLICY IF EXISTS {name} ON {table}; CREATE POLICY {name} ON {table} FOR {verb} TO {ROLE} {rule};")
    };
    let policies = [
        policy("SELECT", &format!("USING ({mine})")),
        policy("INSERT", &format!("WITH CHECK ({mine})")),
        policy("UPDATE", &format!("USING ({mine}) WITH CHECK ({mine})")),
        policy("DELETE", &format!("USING ({mine})")),
        // The forced policies hold for the table's owner too, unless one lets the administrator through.
        format!(
            "DROP POLICY IF EXISTS soakd_admin ON {table}; \
             CREATE POLICY soakd_admin ON {table} FOR ALL TO CURRENT_USER USING (true) WITH CHECK (true);"
        ),
    ]
    .join("\n");
    let (secure, group) = if rls {
        (
            format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"),
            format!("{owner}, "),
        )
    } else {
        (
            format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY; ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;"),
            String::new(),
        )
    };
    format!(
        "SELECT pg_advisory_xact_lock(7310011); \
         CREATE TABLE IF NOT EXISTS {table} ({}, _seq bigint NOT NULL DEFAULT 0, _origin bigint NOT NULL DEFAULT 0, PRIMARY KEY ({})); \
         CREATE INDEX IF NOT EXISTS {} ON {table} ({group}_seq); {SIDE_TABLES} {secure} {policies} \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {ROLE};",
        definitions.join(", "),
        spec.quoted(spec.key),
        quote(&format!("soakd_pull_{}", spec.name)),
    )
}

const SIDE_TABLES: &str = "
DO $$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'soakd_client') THEN CREATE ROLE soakd_client NOLOGIN; END IF;
  IF NOT pg_has_role(current_user, 'soakd_client', 'MEMBER') THEN EXECUTE format('GRANT soakd_client TO %I', current_user); END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
CREATE TABLE IF NOT EXISTS soakd_tombstone (owner text NOT NULL, seq bigint NOT NULL, key text NOT NULL, origin bigint NOT NULL, PRIMARY KEY (owner, seq));
CREATE TABLE IF NOT EXISTS soakd_client_state (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text NOT NULL, client text NOT NULL, pulled bigint NOT NULL DEFAULT -1, seen_ms bigint NOT NULL, batch bigint NOT NULL DEFAULT 0, reply bytea, UNIQUE (owner, client));
CREATE TABLE IF NOT EXISTS soakd_floor (owner text PRIMARY KEY, floor bigint NOT NULL);
CREATE TABLE IF NOT EXISTS soakd_sequence (one integer PRIMARY KEY CHECK (one = 1), seq bigint NOT NULL);
CREATE TABLE IF NOT EXISTS soakd_token (hash bytea PRIMARY KEY, user_id text NOT NULL, name text NOT NULL, expires_ms bigint, revoked boolean NOT NULL DEFAULT false);
INSERT INTO soakd_sequence VALUES (1, 0) ON CONFLICT DO NOTHING;
";

fn kind(spec: &TableSpec, index: usize) -> &'static str {
    match spec.columns[index].kind {
        ColumnKind::Text => "text",
        ColumnKind::Integer => "bigint",
        ColumnKind::Real => "double precision",
        ColumnKind::Blob => "bytea",
    }
}
