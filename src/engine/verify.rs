//! The verify phase: gathers the evidence of every check from workers, probes and the server, and has it judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use super::crew::{Crew, CrewError};
use super::cycle::Stage;
use super::probe;
use super::setup::Role;
use super::worker::protocol::{Command, Reply, Scan};
use crate::checker::convergence::{self, Fault, Group, Replica, Server};
use crate::checker::{health, own};
use crate::model::digest::TableDigest;
use crate::model::finding::{Finding, Kind, Side};
use crate::model::ids::{DbNo, UserNo, user_id};
use crate::model::journal::CycleJournal;
use crate::model::verdict::{CheckResult, Verdict};

/// Rows of differing buckets that are fetched from the server.
const SERVER_ROWS_MAX: usize = 20_000;

/// How often the server's digest is asked for at most, and how far apart.
const SERVER_TRIES: u32 = 8;
const SERVER_TRY_EVERY: Duration = Duration::from_millis(500);

/// What verification came to.
pub struct Verified {
    pub checks: Vec<CheckResult>,
    pub rows: BTreeMap<DbNo, u64>,
    /// Short digest of all content; empty when places disagree.
    pub content: String,
}

/// Verifies a cycle; `None` when it was stopped before the end.
pub async fn verify(stage: &Stage, cycle: u64, unsettled: Vec<String>) -> anyhow::Result<Option<Verified>> {
    if stage.setup.is_direct() {
        return stage.verify_direct(cycle, unsettled).await.map(Some);
    }
    let mut checks = Vec::new();
    let mut rows = BTreeMap::new();
    let mut contents = Vec::new();
    let mut foreign = Vec::new();
    for (name, owner, databases) in groups(stage) {
        if stage.control.stop.is_cancelled() {
            return Ok(None);
        }
        let group = gather(stage, cycle, &name, owner, &databases).await?;
        rows.extend(group.replicas.iter().filter_map(|replica| Some((replica.db?, replica.digest.rows))));
        let judgement = tokio::task::block_in_place(|| convergence::judge(&group));
        contents.push(judgement.content.as_ref().map(TableDigest::short));
        for fault in judgement.faults.iter().filter(|f| f.fault == Fault::Foreign) {
            foreign.push((name.clone(), fault.place.clone(), fault.key.clone(), fault.detail.clone()));
        }
        let evidence_max = stage.setup.config.verify.evidence as usize;
        checks.push(convergence::result(&format!("convergence.{name}"), &judgement, &group, evidence_max));
        if let Server::NotExercised(reason) = &group.server {
            checks.push(not_exercised(&format!("convergence.{name}.server"), reason));
        }
    }
    if stage.control.stop.is_cancelled() {
        return Ok(None);
    }
    probe::isolation(stage, cycle, &foreign, &mut checks).await?;
    stage.crew.barrier().await?;
    write_down(stage, cycle, &checks)?;
    health(stage, cycle, unsettled, &mut checks);
    let content = match contents.into_iter().collect::<Option<Vec<String>>>() {
        Some(parts) => parts.join("-"),
        None => String::new(),
    };
    Ok(Some(Verified { checks, rows, content }))
}

/// Returns the groups whose databases must hold the same content: one per user, or all without row-level security.
fn groups(stage: &Stage) -> Vec<(String, Option<UserNo>, Vec<DbNo>)> {
    let replica = |role: Role| matches!(role, Role::Load | Role::Reader(_));
    let all = stage.crew.databases(replica);
    if !stage.setup.rls() {
        return vec![("all".into(), None, all)];
    }
    let user_of = |db: &DbNo| stage.setup.user(*db, stage.crew.roles()[db]);
    (1..=stage.setup.users())
        .map(|user| (format!("user{user}"), Some(user), all.iter().copied().filter(|db| user_of(db) == user).collect()))
        .collect()
}

/// Reads everything that is known of one group's content.
async fn gather<'a>(
    stage: &'a Stage,
    cycle: u64,
    name: &str,
    owner: Option<UserNo>,
    databases: &[DbNo],
) -> anyhow::Result<Group<'a>> {
    let mut reading = JoinSet::new();
    for db in databases.iter().copied() {
        let crew = Arc::clone(&stage.crew);
        let loads = crew.roles()[&db] == Role::Load;
        reading.spawn(async move {
            let read = async { anyhow::Ok((scan(&crew, db).await?, journal(&crew, db, cycle, loads).await?)) };
            (db, read.await)
        });
    }
    let mut read = BTreeMap::new();
    let mut missing = BTreeMap::new();
    while let Some(joined) = reading.join_next().await {
        match joined.context("a reading task ended")? {
            (db, Ok(content)) => drop(read.insert(db, content)),
            (db, Err(error)) => match error.downcast::<CrewError>() {
                Ok(error @ (CrewError::Failed(_) | CrewError::Down(_))) => {
                    drop(missing.insert(db, format!("DB{db} could not be read: {}", told(error))));
                }
                Ok(CrewError::Lost(error)) | Err(error) => return Err(error),
            },
        }
    }
    let mut journals = Vec::new();
    let mut replicas = Vec::new();
    for (db, (scan, journal)) in read {
        journals.extend(journal);
        let role = stage.crew.roles()[&db];
        let name = match role {
            Role::Reader(user) => format!("the reader of user {user}"),
            _ => format!("DB{db}"),
        };
        let db = (role == Role::Load).then_some(db);
        let Scan { digest, states, strange, strange_total } = scan;
        replicas.push(Replica { name, db, digest, states, strange, strange_total });
    }
    let owner = owner.map(user_id);
    let server = server_side(stage, owner.as_deref(), replicas.first()).await;
    if let Server::Failed(reason) = &server {
        tracing::warn!(group = name, "the server's content could not be read: {reason}");
    }
    Ok(Group {
        name: name.to_owned(),
        owner,
        table: &stage.setup.table,
        seed: stage.plan.seed,
        merge_columns: stage.setup.merge_columns(),
        members: databases.iter().copied().filter(|db| stage.crew.roles()[db] == Role::Load).collect(),
        missing: missing.into_values().collect(),
        journals,
        replicas,
        server,
    })
}

async fn scan(crew: &Crew, db: DbNo) -> anyhow::Result<Scan> {
    match crew.ask(db, Command::Scan).await? {
        Reply::Scan(scan) => Ok(scan),
        other => bail!("database {db} answered {other:?} to a scan"),
    }
}

async fn journal(crew: &Crew, db: DbNo, cycle: u64, loads: bool) -> anyhow::Result<Option<CycleJournal>> {
    if !loads {
        return Ok(None);
    }
    match crew.ask(db, Command::Journal { cycle }).await? {
        Reply::Journal(journal) => Ok(Some(journal)),
        other => bail!("database {db} answered {other:?} to a request for its journal"),
    }
}

/// Reads the server's digest, and the rows of the buckets in which it differs from the first replica.
async fn server_side(stage: &Stage, owner: Option<&str>, reference: Option<&Replica>) -> Server {
    let gateway = match &stage.service.gateway {
        Some(gateway) if stage.setup.config.verify.server => gateway,
        Some(_) => return Server::NotExercised("verify.server is off".into()),
        None => return Server::NotExercised("neither an admin API nor a SQL gateway is configured".into()),
    };
    // A target that has just crashed is being started again; any other one gets the same patience.
    let mut tries_left = SERVER_TRIES;
    let digest = loop {
        tries_left -= 1;
        match gateway.digest(owner).await {
            Ok(digest) => break digest,
            Err(error) if tries_left == 0 || stage.control.stop.is_cancelled() => {
                return Server::Failed(error.to_string());
            }
            Err(_) => tokio::time::sleep(SERVER_TRY_EVERY).await,
        }
    };
    let buckets = reference.map_or_else(Vec::new, |r| digest.differing_buckets(&r.digest));
    if buckets.is_empty() {
        return Server::Read { digest, rows: Vec::new(), truncated: false };
    }
    match gateway.rows(owner, &buckets, SERVER_ROWS_MAX).await {
        Ok(rows) => Server::Read { digest, truncated: rows.len() >= SERVER_ROWS_MAX, rows },
        Err(error) => Server::Failed(error.to_string()),
    }
}

/// Turns failed checks into findings, so that they are grouped by cause over cycles.
pub(super) fn write_down(stage: &Stage, cycle: u64, checks: &[CheckResult]) -> anyhow::Result<()> {
    let failed = checks.iter().filter(|c| c.verdict == Some(Verdict::Fail));
    let findings: Vec<Finding> = failed
        .map(|check| {
            let kind = if check.check.starts_with("isolation") { Kind::Isolation } else { Kind::Divergence };
            let message = format!("{}: {}", check.check, check.summary);
            super::ledger::finding(cycle, "verify", (Side::Server, kind), &message)
        })
        .collect();
    Ok(stage.ledger.record_findings(findings)?)
}

/// Judges whether the cycle ran as planned; findings of other checks are theirs to report.
pub(super) fn health(stage: &Stage, cycle: u64, unsettled: Vec<String>, checks: &mut Vec<CheckResult>) {
    let (findings, findings_total, steps_done) = stage.ledger.cycle_health();
    let steps_planned = stage
        .crew
        .databases(|role| role == Role::Load)
        .into_iter()
        .map(|db| (db, stage.plan.count(cycle, db)))
        .collect();
    let judged_elsewhere = |f: &Finding| matches!(f.kind, Kind::Divergence | Kind::Isolation | Kind::Criterion);
    let elsewhere = findings.iter().filter(|f| judged_elsewhere(f)).count() as u64;
    let evidence = health::Evidence {
        steps_planned,
        steps_done,
        findings: findings.into_iter().filter(|f| !judged_elsewhere(f)).collect(),
        findings_total: findings_total - elsewhere,
        tolerated: stage.setup.config.verify.tolerate.clone(),
        unsettled,
    };
    checks.push(health::judge_steps(&evidence));
    let lines = stage.setup.config.verify.evidence as usize;
    checks.push(health::judge_errors(&evidence, lines));
    // A cycle shorter than the time between two looks is judged with the next one.
    if let Some(found) = stage.setup.own.take() {
        checks.push(own::judge_cycle(&found, lines));
    }
}

/// Returns a check that was not exercised.
pub fn not_exercised(check: &str, reason: &str) -> CheckResult {
    CheckResult {
        check: check.into(),
        verdict: None,
        summary: format!("not exercised: {reason}"),
        evidence: Vec::new(),
        evidence_total: 0,
    }
}

/// Returns an error that a database answered with, in words.
pub fn told(error: CrewError) -> String {
    match error {
        CrewError::Failed(error) => error.message,
        CrewError::Down(reason) => reason,
        CrewError::Lost(error) => format!("{error:#}"),
    }
}
