//! The system under test as the engine sees it: its address, its gateway, the users' credentials, and whether it answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::Utc;
use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::event::RunEvent;
use super::ledger::{Ledger, finding};
use super::managed::{Managed, ManagedSpec, ManagedStore, PortTaken};
use super::run::StartError;
use super::setup::Setup;
use super::worker::protocol::Secret;
use crate::clock::Clock;
use crate::config::target::EmbeddedConfig;
use crate::config::{ServiceConfig, StoreConfig, TargetConfig};
use crate::model::finding::{Kind, Side};
use crate::model::ids::{UserNo, user_id};
use crate::target::gateway::{Gateway, GatewayTimeouts};

/// How long the gateway may take to issue a token, over all tries.
const TOKEN_WAIT: Duration = Duration::from_secs(10);
/// How often a configured port is tried, and the pause in between.
const PORT_TRIES: u32 = 5;
const PORT_PAUSE: Duration = Duration::from_millis(200);

/// The system under test.
pub struct Service {
    pub address: String,
    pub database_id: String,
    pub gateway: Option<Gateway>,
    pub version: String,
    rls: bool,
    api_key: Option<SecretString>,
    token_life: Duration,
    tokens: Mutex<BTreeMap<UserNo, Token>>,
    managed: Option<Arc<Supervised>>,
    pub(super) probe_max: Duration,
    pub(super) clock: Clock,
}

/// A user's token and its age.
struct Token {
    text: SecretString,
    issued: Instant,
}

/// The embedded target under supervision.
struct Supervised {
    spec: ManagedSpec,
    port: AtomicU16,
    /// Restarts in the cycle in work.
    restarts: AtomicU32,
    restarts_max: u32,
    current: Mutex<Option<Managed>>,
    stopping: CancellationToken,
    /// Told when a cycle gives the budget back.
    budget: Notify,
}

impl Service {
    /// Starts the embedded target, or looks at the configured service.
    pub async fn start(setup: &Setup, run_dir: &Path, port: u16, ledger: &Arc<Ledger>) -> anyhow::Result<Self> {
        match &setup.config.target {
            TargetConfig::Embedded(embedded) => Self::embedded(setup, embedded, (run_dir, port), ledger).await,
            TargetConfig::Cloudsync(service) => Self::cloudsync(setup, service),
            TargetConfig::Sqlite(_) | TargetConfig::Postgres(_) => Ok(Self::direct(setup)),
        }
    }

    async fn embedded(
        setup: &Setup,
        embedded: &EmbeddedConfig,
        (run_dir, port): (&Path, u16),
        ledger: &Arc<Ledger>,
    ) -> anyhow::Result<Self> {
        let api_key: SecretString = random_key().into();
        let store = match &embedded.store {
            StoreConfig::Sqlite => ManagedStore::Sqlite(run_dir.join("target.db")),
            StoreConfig::Postgres(url) => ManagedStore::Postgres(url.resolve().context("target.embedded.store")?),
        };
        let spec = ManagedSpec {
            program: setup.program.clone(),
            api_key: api_key.clone(),
            store,
            table: setup.table.clone(),
            rls: setup.rls(),
            plants: setup.plants.clone(),
            testing: setup.testing,
            run: ledger.run().to_owned(),
            ready_max: setup.config.timeouts.target_ready.get(),
        };
        let (log, lines) = mpsc::channel(256);
        tokio::spawn(pass_on(lines, Arc::clone(ledger)));
        let managed = first_start(&spec, embedded.port, port, &log).await?;
        let address = format!("http://127.0.0.1:{}", managed.port);
        let version = managed.version.clone();
        let supervised = Arc::new(Supervised {
            spec,
            port: AtomicU16::new(managed.port),
            restarts: AtomicU32::new(0),
            restarts_max: setup.config.retry.restarts_per_cycle,
            current: Mutex::new(Some(managed)),
            stopping: CancellationToken::new(),
            budget: Notify::new(),
        });
        tokio::spawn(supervise(Arc::clone(&supervised), Arc::clone(ledger), log));
        let gateway = Gateway::new(&address, api_key.clone(), None, setup.table.clone(), gateway_timeouts(setup))?;
        Ok(Self {
            address,
            database_id: "soakd".into(),
            gateway: Some(gateway),
            version,
            rls: setup.rls(),
            api_key: Some(api_key),
            token_life: embedded.token_life.get(),
            tokens: Mutex::default(),
            managed: Some(supervised),
            probe_max: setup.config.timeouts.probe.get(),
            clock: setup.clock,
        })
    }

    /// Returns a database that workers drive themselves: nobody to be asked for credentials, nobody to be probed.
    fn direct(setup: &Setup) -> Self {
        Self {
            address: String::new(),
            database_id: String::new(),
            gateway: None,
            version: String::new(),
            rls: false,
            api_key: None,
            token_life: Duration::MAX,
            tokens: Mutex::default(),
            managed: None,
            probe_max: setup.config.timeouts.probe.get(),
            clock: setup.clock,
        }
    }

    /// Returns true if there is a sync service at all.
    pub fn is_there(&self) -> bool {
        !self.address.is_empty()
    }

    fn cloudsync(setup: &Setup, service: &ServiceConfig) -> anyhow::Result<Self> {
        let api_key =
            service.api_key.as_ref().map(|key| key.resolve()).transpose().context("target.cloudsync.api_key")?;
        let gateway = match (&service.gateway, &api_key) {
            (Some(host), Some(key)) => {
                let (table, timeouts) = (setup.table.clone(), gateway_timeouts(setup));
                Some(Gateway::new(host, key.clone(), service.database.clone(), table, timeouts)?)
            }
            _ => None,
        };
        Ok(Self {
            address: service.address.clone(),
            database_id: service.database_id.clone(),
            gateway,
            version: "not told by the service".into(),
            rls: setup.rls(),
            api_key,
            token_life: service.token_life.get(),
            tokens: Mutex::default(),
            managed: None,
            probe_max: setup.config.timeouts.probe.get(),
            clock: setup.clock,
        })
    }

    /// Returns the port of the embedded target.
    pub fn port(&self) -> Option<u16> {
        self.managed.as_ref().map(|m| m.port.load(Ordering::Relaxed))
    }

    /// Returns the process of the embedded target, while it lives.
    pub async fn pid(&self) -> Option<u32> {
        self.managed.as_ref()?.current.lock().await.as_ref().map(|managed| managed.pid)
    }

    /// Returns the file that the embedded target keeps its rows in; `None` for a PostgreSQL and for other targets.
    pub fn file(&self) -> Option<std::path::PathBuf> {
        match &self.managed.as_ref()?.spec.store {
            ManagedStore::Sqlite(path) => Some(path.clone()),
            ManagedStore::Postgres(_) => None,
        }
    }

    /// Returns true if soakd runs the target itself.
    pub fn is_embedded(&self) -> bool {
        self.managed.is_some()
    }

    /// Gives the target its full restart budget again.
    pub fn begin_cycle(&self) {
        if let Some(managed) = &self.managed {
            managed.restarts.store(0, Ordering::Relaxed);
            managed.budget.notify_waiters();
        }
    }

    /// Returns a user's credential; without row-level security everybody uses the key.
    pub async fn credential(&self, user: UserNo) -> anyhow::Result<Secret> {
        if !self.is_there() {
            return Ok(Secret::None);
        }
        if !self.rls {
            return match &self.api_key {
                Some(key) => Ok(Secret::ApiKey(key.expose_secret().to_owned())),
                None => bail!("without row-level security an API key is needed: set target.cloudsync.api_key"),
            };
        }
        if let Some(token) = self.tokens.lock().await.get(&user) {
            return Ok(Secret::Token(token.text.expose_secret().to_owned()));
        }
        self.fresh_credential(user).await
    }

    /// Issues a new token for a user.
    pub async fn fresh_credential(&self, user: UserNo) -> anyhow::Result<Secret> {
        if !self.rls {
            return self.credential_key();
        }
        let gateway =
            self.gateway.as_ref().context("tokens need a gateway: set target.cloudsync.gateway and api_key")?;
        let expires = Utc::now() + self.token_life;
        let mut last = None;
        let until = Instant::now() + TOKEN_WAIT;
        while last.is_none() || Instant::now() < until {
            match gateway.issue_token(&format!("soakd-user-{user}"), &user_id(user), Some(expires)).await {
                Ok(token) => {
                    let new = Token { text: token.clone(), issued: Instant::now() };
                    self.tokens.lock().await.insert(user, new);
                    return Ok(Secret::Token(token.expose_secret().to_owned()));
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        match last {
            Some(error) => Err(error).with_context(|| format!("issuing a token for user {user}")),
            None => bail!("no token was issued for user {user}"),
        }
    }

    /// Returns the users whose tokens are past half of their life.
    pub async fn old_credentials(&self) -> Vec<UserNo> {
        let tokens = self.tokens.lock().await;
        tokens.iter().filter(|(_, token)| token.issued.elapsed() > self.token_life / 2).map(|(user, _)| *user).collect()
    }

    /// Returns a credential that is not past half of its life.
    pub async fn young_credential(&self, user: UserNo) -> anyhow::Result<Secret> {
        if self.old_credentials().await.contains(&user) {
            return self.fresh_credential(user).await;
        }
        self.credential(user).await
    }

    fn credential_key(&self) -> anyhow::Result<Secret> {
        let key = self.api_key.as_ref().context("an API key is needed: set target.cloudsync.api_key")?;
        Ok(Secret::ApiKey(key.expose_secret().to_owned()))
    }

    /// Stops the embedded target.
    pub async fn stop(&self, patience: Duration) {
        if let Some(supervised) = &self.managed {
            supervised.stopping.cancel();
            if let Some(managed) = supervised.current.lock().await.take() {
                managed.stop(patience).await;
            }
        }
    }
}

/// Starts the target on its configured port, or on the one of an earlier life if that is free, or on any.
async fn first_start(
    spec: &ManagedSpec,
    configured: Option<u16>,
    earlier: u16,
    log: &mpsc::Sender<String>,
) -> anyhow::Result<Managed> {
    let Some(port) = configured else {
        return match Managed::start(spec, earlier, log.clone()).await {
            Err(error) if earlier != 0 && error.is::<PortTaken>() => Managed::start(spec, 0, log.clone()).await,
            other => other,
        };
    };
    let mut tries = 0;
    loop {
        tries += 1;
        match Managed::start(spec, port, log.clone()).await {
            // The target of a daemon that was just killed may be about to end.
            Err(error) if error.is::<PortTaken>() && tries < PORT_TRIES => tokio::time::sleep(PORT_PAUSE).await,
            Err(error) if error.is::<PortTaken>() => bail!(StartError::Unavailable(format!(
                "the embedded target cannot listen on port {port} (target.embedded.port): {error}. \
                 Without that key a free port is taken"
            ))),
            other => return other,
        }
    }
}

fn gateway_timeouts(setup: &Setup) -> GatewayTimeouts {
    let timeouts = &setup.config.timeouts;
    GatewayTimeouts { connect: timeouts.connect.get(), request: timeouts.request.get() }
}

/// Passes the target's log on to readers.
async fn pass_on(mut lines: mpsc::Receiver<String>, ledger: Arc<Ledger>) {
    while let Some(line) = lines.recv().await {
        ledger.tell(RunEvent::Log(format!("[target] {line}")));
    }
}

/// Restarts the target whenever it ends without being asked to; each time is a finding.
async fn supervise(supervised: Arc<Supervised>, ledger: Arc<Ledger>, log: mpsc::Sender<String>) {
    loop {
        let ended = {
            let current = supervised.current.lock().await;
            let Some(managed) = current.as_ref() else { return };
            managed.exited()
        };
        let how = tokio::select! {
            () = supervised.stopping.cancelled() => return,
            how = ended => how,
        };
        let last = {
            let current = supervised.current.lock().await;
            current.as_ref().map(|m| m.last_lines().join(" | ")).unwrap_or_default()
        };
        if supervised.stopping.is_cancelled() {
            return;
        }
        let message = format!("the embedded target ended by {how}; its last lines: {last}");
        let crash = finding(ledger.cycle(), "-", (Side::Server, Kind::Crash), &message);
        if ledger.record_findings(vec![crash]).is_err() {
            return;
        }
        loop {
            // Made before the budget is looked at, so that a cycle which begins meanwhile is not missed.
            let given_back = supervised.budget.notified();
            if restart(&supervised, &ledger, &log).await {
                break;
            }
            // Left down for the rest of this cycle; the next one tries again.
            tokio::select! {
                () = supervised.stopping.cancelled() => return,
                () = given_back => {}
            }
        }
    }
}

/// Starts the target again on its port; false when the budget is spent.
async fn restart(supervised: &Supervised, ledger: &Ledger, log: &mpsc::Sender<String>) -> bool {
    loop {
        if supervised.restarts.fetch_add(1, Ordering::Relaxed) >= supervised.restarts_max {
            let message = format!(
                "the embedded target was restarted {} times in this cycle; it is left down (retry.restarts_per_cycle)",
                supervised.restarts_max
            );
            let _ = ledger.record_findings(vec![finding(ledger.cycle(), "-", (Side::Server, Kind::Crash), &message)]);
            return false;
        }
        match Managed::start(&supervised.spec, supervised.port.load(Ordering::Relaxed), log.clone()).await {
            Ok(managed) => {
                tracing::warn!(pid = managed.pid, "the embedded target was started again");
                *supervised.current.lock().await = Some(managed);
                return true;
            }
            Err(error) => {
                tracing::error!("the embedded target could not be started again: {error:#}");
                tokio::select! {
                    () = supervised.stopping.cancelled() => return false,
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                }
            }
        }
    }
}

/// Returns a key that nobody can guess, for the embedded target of this life.
fn random_key() -> String {
    let mut rng = rand::rng();
    (0..32).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}
