//! What a run is made of: settings resolved to plans, users and session descriptions.

mod direct;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::config::target::EmbeddedConfig;
use crate::config::{Config, Mode, Pace, ProviderConfig, SecretRef, StoreConfig, SyncConfig, TargetConfig};
use crate::engine::event::{Beat, OwnFindings};
use crate::engine::worker::protocol::{DatabaseSpec, RetrySpec};
use crate::model::ids::{DbNo, UserNo, user_id, user_of, users_for};
use crate::model::record::ScaleRecord;
use crate::model::schema::TableSpec;
use crate::target::sync_sql::{Merge, Profile, Provider, SessionSpec};
use crate::workload::sync::{Plan, Shape};

pub use direct::direct_spec;

/// Everything that is fixed before a run starts.
#[derive(Debug, Clone)]
pub struct Setup {
    pub config: Config,
    pub table: TableSpec,
    /// The soakd program itself, for its workers and its target.
    pub program: PathBuf,
    pub plants: Vec<String>,
    pub testing: bool,
    pub clock: Clock,
    /// Told of everything that is really done.
    pub beat: Beat,
    /// What was found about soakd itself since the last verification.
    pub own: OwnFindings,
}

/// What part a database plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A database of the workload.
    Load,
    /// Only receives: one more replica, and the owner of its user's canaries.
    Reader(UserNo),
    /// Tries to reach other users' rows.
    Forger(UserNo),
    /// Tries credentials.
    Trial,
}

impl Setup {
    /// Returns the sync workload's settings, if it is that.
    pub fn sync(&self) -> Option<&SyncConfig> {
        self.config.workload.sync()
    }

    /// Returns true if workers drive a database themselves.
    pub fn is_direct(&self) -> bool {
        self.sync().is_none()
    }

    /// Returns true if every user has a token and sees only rows of their own.
    pub fn rls(&self) -> bool {
        self.sync().is_some_and(|sync| sync.rls)
    }

    /// Returns true if databases move one step at a time.
    pub fn lockstep(&self) -> bool {
        self.sync().is_some_and(|sync| sync.pace == Pace::Lockstep)
    }

    /// Returns where the target's PostgreSQL is said to be, if it keeps its rows in one.
    pub fn store_secret(&self) -> Option<SecretRef> {
        match &self.config.target {
            TargetConfig::Embedded(EmbeddedConfig { store: StoreConfig::Postgres(secret), .. }) => Some(secret.clone()),
            TargetConfig::Postgres(postgres) => Some(postgres.url.clone()),
            _ => None,
        }
    }

    /// Returns how many databases the workload has.
    pub fn databases(&self) -> u32 {
        self.sync().map_or(1, |sync| sync.size().2)
    }

    /// Returns how many users they belong to.
    pub fn users(&self) -> u32 {
        users_for(self.databases())
    }

    /// Returns the plan of the run with this seed.
    pub fn plan(&self, seed: u64) -> Plan {
        let Some(sync) = self.sync() else { return self.direct_plan(seed) };
        let (rows, iterations, databases) = sync.size();
        let per_mille = |share: f64| (share * 1000.0).round() as u32;
        let shape = match sync.mode {
            Mode::Classic => Shape::Classic,
            Mode::Incremental => Shape::Incremental {
                updates: sync.updates,
                deletes: sync.deletes,
                delete_rows: sync.delete_rows,
                wait_ms: sync.wait.get().as_millis() as u64,
            },
            Mode::Contended => {
                Shape::Contended { per_mille: per_mille(sync.contention), offline_per_mille: per_mille(sync.offline) }
            }
        };
        Plan { seed, shape, rows, iterations, databases }
    }

    /// Returns the size of the run, for reports.
    pub fn scale(&self, plan: &Plan) -> ScaleRecord {
        let Some(sync) = self.sync() else { return self.direct_scale(plan) };
        let word = |v: serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let json = |s: &dyn Fn() -> serde_json::Result<serde_json::Value>| s().map(word).unwrap_or_default();
        ScaleRecord {
            scale: json(&|| serde_json::to_value(sync.scale)),
            mode: json(&|| serde_json::to_value(sync.mode)),
            provider: match self.config.provider {
                ProviderConfig::Native => "native".into(),
                ProviderConfig::Extension(_) => "extension".into(),
            },
            target: self.config.target.word().into(),
            rls: sync.rls,
            rows: plan.rows,
            iterations: plan.iterations,
            databases: plan.databases,
            users: self.users(),
            cycles_planned: self.config.run.cycles,
            duration_planned_ms: self.config.run.duration.map(|d| d.get().as_millis() as u64),
            steps_per_cycle: plan.steps_per_cycle(1),
        }
    }

    /// Returns true if the provider settles conflicts per column.
    pub fn merge_columns(&self) -> bool {
        match &self.config.provider {
            ProviderConfig::Native => Profile::native().merge == Merge::Column,
            // Statements that make no profile were refused with the configuration.
            ProviderConfig::Extension(ext) => {
                Profile::with_overrides(&ext.statements).is_ok_and(|profile| profile.merge == Merge::Column)
            }
        }
    }

    /// Returns true if one refused row keeps a database from sending anything else.
    pub fn refusal_blocks(&self) -> bool {
        matches!(self.config.provider, ProviderConfig::Extension(_))
    }

    /// Returns how workers retry.
    pub fn retry(&self) -> RetrySpec {
        let retry = &self.config.retry;
        RetrySpec {
            first_ms: retry.first.get().as_millis() as u64,
            max_ms: retry.max.get().as_millis() as u64,
            multiplier: retry.multiplier,
            give_up_ms: retry.give_up.get().as_millis() as u64,
        }
    }

    /// Returns all databases of a run with their parts, the workload's first.
    pub fn roles(&self) -> BTreeMap<DbNo, Role> {
        let (databases, users) = (self.databases(), self.users());
        let mut roles: BTreeMap<DbNo, Role> = (1..=databases).map(|db| (db, Role::Load)).collect();
        if !self.config.verify.isolation || self.is_direct() {
            return roles;
        }
        if self.rls() {
            roles.extend((1..=users).map(|user| (databases + user, Role::Reader(user))));
            roles.extend((1..=users).map(|user| (databases + users + user, Role::Forger(user))));
        }
        roles.insert(databases + 2 * users + 1, Role::Trial);
        roles
    }

    /// Returns the user of a database.
    pub fn user(&self, db: DbNo, role: Role) -> UserNo {
        match role {
            Role::Load => user_of(db, self.databases()),
            Role::Reader(user) | Role::Forger(user) => user,
            Role::Trial => 1,
        }
    }

    /// Returns the name of a database's file.
    pub fn file_name(db: DbNo, role: Role) -> String {
        match role {
            Role::Load => format!("db{db}.sqlite"),
            Role::Reader(user) => format!("reader{user}.sqlite"),
            Role::Forger(user) => format!("forger{user}.sqlite"),
            Role::Trial => "trial.sqlite".into(),
        }
    }

    /// Returns what a worker needs to know of a database.
    pub fn database(&self, db: DbNo, role: Role, dir: &Path, address: &str, database_id: &str) -> DatabaseSpec {
        let user = self.user(db, role);
        let name = Self::file_name(db, role);
        let ms = |span: crate::config::Span| span.get().as_millis() as u64;
        let timeouts = &self.config.timeouts;
        let provider = match &self.config.provider {
            ProviderConfig::Native => Provider::Native,
            ProviderConfig::Extension(ext) => Provider::Extension {
                path: ext.path.clone(),
                entry_point: ext.entry_point.clone(),
                statements: ext.statements.clone(),
            },
        };
        DatabaseSpec {
            db,
            user,
            owner: user_id(user),
            exclusive: self.rls(),
            session: SessionSpec {
                path: dir.join(name),
                table: self.table.clone(),
                provider,
                address: address.to_owned(),
                database_id: database_id.to_owned(),
                connect_ms: ms(timeouts.connect),
                request_ms: ms(timeouts.request),
                busy_ms: ms(timeouts.busy),
            },
        }
    }

    /// Returns how the databases are spread over worker processes: probes share one process of their own.
    pub fn groups(&self) -> Vec<Vec<DbNo>> {
        const PROCESSES_MAX: u32 = 16;
        let databases = self.databases();
        let each = self.config.run.databases_per_worker.unwrap_or(databases.div_ceil(PROCESSES_MAX)).max(1);
        let load: Vec<DbNo> = (1..=databases).collect();
        let mut groups: Vec<Vec<DbNo>> = load.chunks(each as usize).map(<[DbNo]>::to_vec).collect();
        let probes: Vec<DbNo> = self.roles().into_keys().filter(|db| *db > databases).collect();
        if !probes.is_empty() {
            groups.push(probes);
        }
        groups
    }
}
