//! All workers of a run: which process holds which database, and how a dead one is replaced.

mod attend;
mod halt;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, bail};
use tokio::sync::{Mutex, RwLock, mpsc, oneshot};

use super::direct::crash::Crash;
use super::fleet::{AskError, Died, FleetSpec, News, Worker};
use super::ledger::{Ledger, Signal, finding};
use super::run::StartError;
use super::service::Service;
use super::setup::{Role, Setup};
use super::worker::protocol::{Command, Hello, PROTOCOL, Reply};
use crate::model::finding::{Classified, Kind, Side};
use crate::model::ids::DbNo;
use crate::workload::sync::Plan;

pub use attend::attend;

/// News that may wait for the pump.
const NEWS_MAX: usize = 4096;

/// The workers of a run.
pub struct Crew {
    setup: Setup,
    plan: Plan,
    run: String,
    dir: PathBuf,
    spec: FleetSpec,
    service: Arc<Service>,
    ledger: Arc<Ledger>,
    roles: BTreeMap<DbNo, Role>,
    groups: Vec<Vec<DbNo>>,
    news: mpsc::Sender<News>,
    workers: RwLock<Vec<Option<Arc<Worker>>>>,
    /// Held while a worker is replaced, so that it happens once.
    reviving: Vec<Mutex<()>>,
    restarts: AtomicU32,
    /// True while workers are to load nothing.
    stopped: AtomicBool,
    /// Workers that stay down until the next cycle, with the reason.
    down: std::sync::Mutex<BTreeMap<usize, String>>,
    /// How a load ended that was to end at its first unexpected error, until somebody takes it.
    crash: std::sync::Mutex<Option<Box<Crash>>>,
    pub provider: std::sync::OnceLock<String>,
    pub sqlite: std::sync::OnceLock<String>,
}

/// Why a database could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    #[error("{}", .0.message)]
    Failed(Box<Classified>),
    /// Its worker used up the restarts of this cycle.
    #[error("{0}")]
    Down(String),
    #[error("{0:#}")]
    Lost(anyhow::Error),
}

/// A local database is damaged: starting its worker again cannot help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Damaged(String);

impl Crew {
    /// Starts all workers and opens all databases that are not opened per cycle.
    pub async fn start(
        setup: &Setup,
        plan: Plan,
        (run, dir): (String, PathBuf),
        service: Arc<Service>,
        ledger: Arc<Ledger>,
    ) -> anyhow::Result<(Arc<Self>, mpsc::Receiver<Signal>)> {
        let (news, received) = mpsc::channel(NEWS_MAX);
        let (signals, heard) = mpsc::channel(256);
        tokio::spawn(super::ledger::pump(Arc::clone(&ledger), received, signals));
        let groups = setup.groups();
        let spec = FleetSpec {
            program: setup.program.clone(),
            silent_max: setup.config.timeouts.worker_silent.get(),
            step_max: setup.config.timeouts.step.get(),
            beat: setup.beat.clone(),
        };
        let crew = Arc::new(Self {
            setup: setup.clone(),
            plan,
            run,
            dir,
            spec,
            service,
            ledger,
            roles: setup.roles(),
            workers: RwLock::new(vec![None; groups.len()]),
            reviving: groups.iter().map(|_| Mutex::new(())).collect(),
            groups,
            news,
            restarts: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            down: std::sync::Mutex::default(),
            crash: std::sync::Mutex::default(),
            provider: std::sync::OnceLock::new(),
            sqlite: std::sync::OnceLock::new(),
        });
        for index in 0..crew.groups.len() {
            match crew.launch(index).await {
                // One that died young may live the next time; one that cannot be started at all is said at once.
                Err(error) if error.is::<Died>() => {
                    tracing::warn!(worker = index, "{error}");
                    crew.bring_up(index).await?;
                }
                // The others can be tested all the same.
                Err(error) if error.is::<Damaged>() => crew.leave_down(index, Kind::Corrupt, &error.to_string())?,
                other => other?,
            }
        }
        Ok((crew, heard))
    }

    /// Returns all databases with their parts.
    pub fn roles(&self) -> &BTreeMap<DbNo, Role> {
        &self.roles
    }

    /// Returns the databases that play a part.
    pub fn databases(&self, wanted: impl Fn(Role) -> bool) -> Vec<DbNo> {
        self.roles.iter().filter(|(_, role)| wanted(**role)).map(|(db, _)| *db).collect()
    }

    /// Returns how often workers were started again in this cycle.
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Replaces every credential that is past half of its life, before anybody is refused for it.
    pub async fn renew_old_credentials(&self) {
        let old = self.service.old_credentials().await;
        for (db, role) in &self.roles {
            let user = self.setup.user(*db, *role);
            if !old.contains(&user) || !matches!(role, Role::Load | Role::Reader(_)) {
                continue;
            }
            let renewed = match self.service.young_credential(user).await {
                Ok(secret) => self.ask(*db, Command::Credential(secret)).await.map_err(|error| error.to_string()),
                Err(error) => Err(format!("{error:#}")),
            };
            if let Err(why) = renewed {
                tracing::warn!("[DB{db}] the credential was not renewed ahead of time: {why}");
            }
        }
    }

    /// Gives workers their full restart budget again.
    pub fn begin_cycle(&self) {
        self.restarts.store(0, Ordering::Relaxed);
        self.down().clear();
    }

    fn down(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, String>> {
        // A map of texts stays valid even if a holder panicked.
        self.down.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Returns the processes of the workers that live, by number.
    pub async fn pids(&self) -> Vec<(usize, u32)> {
        self.workers.read().await.iter().flatten().filter(|w| w.alive()).map(|w| (w.index, w.pid)).collect()
    }

    /// Returns the number of the worker that has a database.
    pub fn worker_of(&self, db: DbNo) -> Option<usize> {
        self.groups.iter().position(|group| group.contains(&db))
    }

    /// Returns the local databases of a worker, by its number.
    pub fn files(&self, index: usize) -> Vec<PathBuf> {
        if self.setup.is_direct() {
            return self.setup.direct_files(&self.dir);
        }
        let group = self.groups.get(index).map_or(&[][..], Vec::as_slice);
        group.iter().filter_map(|db| Some(self.dir.join(Setup::file_name(*db, *self.roles.get(db)?)))).collect()
    }

    /// Keeps how a load ended that was to end at its first unexpected error.
    pub fn put_crash(&self, crash: Option<Box<Crash>>) {
        if crash.is_some() {
            *self.crash.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = crash;
        }
    }

    /// Takes it.
    pub fn take_crash(&self) -> Option<Box<Crash>> {
        self.crash.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    /// Returns the rows written and moved by all workers in this life.
    pub async fn rows(&self) -> u64 {
        self.workers.read().await.iter().flatten().map(|w| w.rows()).sum()
    }

    /// Asks a database, replacing its worker as often as the budget allows; every command may be repeated.
    pub async fn ask(&self, db: DbNo, command: Command) -> Result<Reply, CrewError> {
        let nobody = || CrewError::Lost(anyhow::anyhow!("database {db} is not part of this run"));
        let index = self.worker_of(db).ok_or_else(nobody)?;
        loop {
            if let Some(reason) = self.down().get(&index) {
                return Err(CrewError::Down(reason.clone()));
            }
            let worker = self.workers.read().await[index].clone();
            let result = match &worker {
                Some(worker) => worker.ask(db, command.clone()).await,
                None => Err(AskError::Gone),
            };
            match result {
                Ok(reply) => return Ok(reply),
                Err(AskError::Failed(error)) => return Err(CrewError::Failed(error)),
                Err(AskError::Gone) => self.revive(index, worker.as_ref()).await?,
            }
        }
    }

    /// Hands a fresh credential to a database that asks for one, without waiting behind its other commands.
    pub async fn renew(&self, db: DbNo) {
        let Some(role) = self.roles.get(&db) else { return };
        match self.service.fresh_credential(self.setup.user(db, *role)).await {
            Ok(secret) => {
                // A worker that died meanwhile gets the credential when it is opened again.
                let _ = self.ask(db, Command::Credential(secret)).await;
            }
            Err(error) => tracing::error!("[DB{db}] no fresh credential: {error:#}"),
        }
    }

    /// Waits until everything that workers said before is written down.
    pub async fn barrier(&self) -> anyhow::Result<()> {
        let (done, waited) = oneshot::channel();
        self.news.send(News::Barrier(done)).await.ok().context("the pump has ended")?;
        waited.await.context("steps could not be written down")
    }

    /// Closes all sessions.
    pub async fn close(&self) {
        let mut closing = tokio::task::JoinSet::new();
        for (index, group) in self.groups.iter().enumerate() {
            let Some(worker) = self.workers.read().await[index].clone() else { continue };
            for db in group.clone() {
                let worker = Arc::clone(&worker);
                closing.spawn(async move { worker.ask(db, Command::Close).await });
            }
        }
        closing.join_all().await;
    }

    /// Replaces a dead worker, unless somebody else already has; one that spent the cycle's restarts stays down.
    async fn revive(&self, index: usize, dead: Option<&Arc<Worker>>) -> Result<(), CrewError> {
        let _guard = self.reviving[index].lock().await;
        let replaced = match (self.workers.read().await[index].as_ref(), dead) {
            (Some(current), Some(dead)) => !Arc::ptr_eq(current, dead) && current.alive(),
            (Some(current), None) => current.alive(),
            (None, _) => false,
        };
        if replaced {
            return Ok(());
        }
        self.bring_up(index).await
    }

    /// Starts a worker again, as often as the budget allows; one that has spent it stays down until the next cycle.
    async fn bring_up(&self, index: usize) -> Result<(), CrewError> {
        let budget = self.setup.config.retry.restarts_per_cycle;
        let mut last = String::new();
        while self.restarts.fetch_add(1, Ordering::Relaxed) < budget {
            tracing::warn!(worker = index, "starting a worker again");
            match self.relaunch(index).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is::<Damaged>() => {
                    return self.leave_down(index, Kind::Corrupt, &error.to_string());
                }
                Err(error) => last = format!("; the last try: {error:#}"),
            }
            tracing::error!(worker = index, "a worker could not be started again{last}");
        }
        let spent = format!("workers were started again {budget} times in this one (retry.restarts_per_cycle){last}");
        self.leave_down(index, Kind::Crash, &spent)
    }

    /// Starts a worker again and counts the steps that the dead one did and could not tell of any more.
    async fn relaunch(&self, index: usize) -> anyhow::Result<()> {
        self.launch(index).await?;
        let worker = self.workers.read().await[index].clone().context("the worker is there")?;
        let cycle = self.ledger.cycle();
        for db in self.groups[index].iter().filter(|db| self.roles[*db] == Role::Load) {
            match worker.ask(*db, Command::Progress { cycle }).await {
                Ok(Reply::Progress(reports)) => {
                    for batch in reports.chunks(256) {
                        self.ledger.record_steps(batch)?;
                    }
                }
                Ok(other) => bail!("database {db} answered {other:?} to a request for its progress"),
                Err(error) => bail!("database {db} could not be asked for its progress: {error}"),
            }
        }
        Ok(())
    }

    /// Gives a worker up until the next cycle: what its databases then miss fails this one.
    fn leave_down(&self, index: usize, kind: Kind, why: &str) -> Result<(), CrewError> {
        if self.down().contains_key(&index) {
            return Ok(());
        }
        let names: Vec<String> = self.groups[index].iter().map(|db| format!("DB{db}")).collect();
        let reason = format!("the worker of {} is left down until the next cycle: {why}", names.join(", "));
        let mut given_up = finding(self.ledger.cycle(), "-", (Side::Client, kind), &reason);
        given_up.db = self.groups[index].first().copied();
        self.down().insert(index, reason);
        self.ledger.record_findings(vec![given_up]).map_err(|error| CrewError::Lost(error.into()))
    }

    /// Starts one worker and opens its databases.
    async fn launch(&self, index: usize) -> anyhow::Result<()> {
        let group = &self.groups[index];
        let spec = |db: &DbNo| {
            self.setup.database(*db, self.roles[db], &self.dir, &self.service.address, &self.service.database_id)
        };
        let hello = Hello {
            protocol: PROTOCOL,
            run: self.run.clone(),
            plan: self.plan,
            rate: self.setup.sync().and_then(|sync| sync.rate),
            databases: group.iter().map(spec).collect(),
            direct: self.setup.direct(&self.run, &self.dir, self.plan.seed)?.map(Box::new),
            retry: self.setup.retry(),
            log_level: self.setup.config.log.level.clone(),
        };
        let worker = Worker::start(&self.spec, index, &hello, self.news.clone()).await?;
        let _ = self.sqlite.set(worker.versions.1.clone());
        for db in group {
            let role = self.roles[db];
            if matches!(role, Role::Forger(_) | Role::Trial) {
                continue;
            }
            let credential = self.service.credential(self.setup.user(*db, role)).await?;
            match worker.ask(*db, Command::Open { credential, fresh: false }).await {
                Ok(Reply::Opened { provider }) => {
                    let _ = self.provider.set(provider);
                }
                Ok(other) => bail!("database {db} answered {other:?} when it was opened"),
                Err(AskError::Failed(error)) if error.kind == Kind::Corrupt && !self.setup.is_direct() => {
                    bail!(Damaged(format!("DB{db} is damaged and cannot be opened: {}", error.message)))
                }
                Err(AskError::Failed(error)) if self.setup.is_direct() => {
                    bail!(StartError::Unavailable(format!("the database cannot be driven: {}", error.message)))
                }
                Err(AskError::Failed(error)) => bail!("database {db} could not be opened: {}", error.message),
                Err(AskError::Gone) => bail!(Died(format!("it ended while database {db} was opened"))),
            }
        }
        self.workers.write().await[index] = Some(Arc::clone(&worker));
        self.tell_late(&worker).await;
        Ok(())
    }
}
