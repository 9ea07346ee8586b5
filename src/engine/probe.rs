//! Isolation probes: every ordered pair of users and every verb, from databases of their own, and credentials that must be
//! refused. Probe rows are made before and removed after, whatever came of it.

use std::time::Duration;

use anyhow::bail;
use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;

use super::crew::CrewError;
use super::cycle::Stage;
use super::setup::Role;
use super::verify::{not_exercised, told};
use super::worker::protocol::{Command, Reply, Secret};
use crate::checker::isolation::{self, Attempt, Evidence, ProbeRows, Trial, TrialOutcome, Verb};
use crate::model::finding::Classified;
use crate::model::ids::{DbNo, PROBE_PREFIX, UserNo, user_id};
use crate::model::schema::quote;
use crate::model::value::Value;
use crate::model::verdict::CheckResult;
use crate::target::gateway::GatewayError;

/// How often the matrix is tried at most when the target breaks off, and how far apart.
const MATRIX_TRIES: u32 = 3;
const MATRIX_TRY_EVERY: Duration = Duration::from_secs(1);

/// How often a reader looks for its control row.
const CONTROL_TRIES: u32 = 30;

/// A foreign row that was found by another check: group, place, key, detail.
pub type ForeignRow = (String, String, String, String);

/// Exercises and judges isolation.
pub async fn isolation(
    stage: &Stage,
    cycle: u64,
    foreign: &[ForeignRow],
    checks: &mut Vec<CheckResult>,
) -> anyhow::Result<()> {
    if !stage.setup.config.verify.isolation {
        checks.push(not_exercised("isolation", "verify.isolation is off"));
        return Ok(());
    }
    if !stage.setup.rls() {
        checks.push(not_exercised("isolation.matrix", "row-level security is off: all users share all rows"));
    } else if stage.setup.users() < 2 {
        checks.push(not_exercised("isolation.matrix", "it takes two users"));
    } else {
        checks.push(matrix(stage, cycle, foreign).await?);
    }
    let trials = credentials(stage).await?;
    checks.push(isolation::judge_tokens(&trials));
    Ok(())
}

/// Makes every attempt, looks at what it left, and cleans up.
async fn matrix(stage: &Stage, cycle: u64, foreign: &[ForeignRow]) -> anyhow::Result<CheckResult> {
    let mut tries_left = MATRIX_TRIES;
    let evidence = loop {
        tries_left -= 1;
        let evidence = attempt_all(stage, cycle, foreign).await?;
        let complete = evidence.failed.is_none() && evidence.broken.is_empty();
        if complete || tries_left == 0 || stage.control.stop.is_cancelled() {
            break evidence;
        }
        // A target that crashed meanwhile is being started again; what was tried until then proves nothing.
        tokio::time::sleep(MATRIX_TRY_EVERY).await;
    };
    Ok(isolation::judge_matrix(&evidence, stage.setup.config.verify.evidence as usize))
}

/// Makes every attempt once.
async fn attempt_all(stage: &Stage, cycle: u64, foreign: &[ForeignRow]) -> anyhow::Result<Evidence> {
    let mut evidence = Evidence { users: stage.setup.users(), cycle, ..Evidence::default() };
    for (group, place, key, detail) in foreign {
        let user = group.trim_start_matches("user").parse().unwrap_or(0);
        let owner = detail.trim_start_matches("it belongs to ").to_owned();
        evidence.foreign.push((user, place.clone(), key.clone(), owner));
    }
    let exercised = exercise(stage, cycle, &mut evidence).await;
    let cleaned = clean(stage, cycle).await;
    match (exercised, cleaned) {
        (Err(CrewError::Lost(error)), _) | (_, Err(CrewError::Lost(error))) => return Err(error),
        (Err(error), _) => evidence.failed = Some(told(error)),
        (Ok(()), Err(error)) => evidence.failed = Some(format!("probe rows could not be removed: {}", told(error))),
        (Ok(()), Ok(())) => {}
    }
    Ok(evidence)
}

async fn exercise(stage: &Stage, cycle: u64, evidence: &mut Evidence) -> Result<(), CrewError> {
    let attempts = isolation::attempts(evidence.users);
    clean(stage, cycle).await?;
    for (db, user) in readers(stage) {
        let own = attempts.iter().filter(|a| a.owner_before() == Some(user));
        let canaries = own.map(|a| isolation::row(&stage.setup.table, &a.key(), user, cycle, false)).collect();
        write(stage, db, canaries, Vec::new()).await?;
    }
    for (db, user) in forgers(stage) {
        control(stage, db, user, cycle).await?;
        let own: Vec<Attempt> = attempts.iter().copied().filter(|a| a.attacker == user).collect();
        // Where one refused row blocks its sender, every attempt gets a database of its own.
        let batch = if stage.setup.refusal_blocks() { 1 } else { own.len().max(1) };
        for together in own.chunks(batch) {
            if let Err(error) = forge(stage, db, user, cycle, together).await {
                let reason = match error {
                    CrewError::Lost(_) => return Err(error),
                    other => told(other),
                };
                evidence.broken.extend(together.iter().map(|a| (*a, reason.clone())));
            }
        }
    }
    await_controls(stage, evidence).await?;
    look(stage, evidence).await
}

/// Key of the row that shows that what a user's forger sends does arrive.
fn control_key(user: UserNo) -> String {
    format!("{PROBE_PREFIX}{user}_{user}_control")
}

/// Sends a row that must be accepted, from where the forged ones will come: refusal proves nothing of a service that takes
/// nothing at all, or has not come to it yet.
async fn control(stage: &Stage, db: DbNo, user: UserNo, cycle: u64) -> Result<(), CrewError> {
    let credential = stage.service.credential(user).await.map_err(CrewError::Lost)?;
    ask(stage, db, Command::Open { credential, fresh: true }).await?;
    let row = isolation::row(&stage.setup.table, &control_key(user), user, cycle, false);
    write(stage, db, vec![row], Vec::new()).await
}

/// Waits until every user's reader has the control row; without it the matrix proves nothing.
async fn await_controls(stage: &Stage, evidence: &mut Evidence) -> Result<(), CrewError> {
    let embedded = stage.service.is_embedded();
    let pause =
        stage.setup.config.verify.settle_wait.get().max(Duration::from_millis(if embedded { 20 } else { 1000 }));
    for (db, user) in readers(stage) {
        let key = control_key(user);
        let mut arrived = false;
        for _ in 0..CONTROL_TRIES {
            let Reply::Inspected { rows, .. } = ask(stage, db, Command::Inspect { receive: true }).await? else {
                break;
            };
            arrived = isolation::probe_rows(&stage.setup.table, &rows).contains_key(&key);
            if arrived {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        if !arrived {
            evidence.failed = Some(format!("the service did not take the control row of user {user} ({key})"));
        }
    }
    if !embedded {
        // What was sent after the control row may still be on its way.
        tokio::time::sleep(pause * 2).await;
    }
    Ok(())
}

/// Makes some attempts of one user from a fresh database.
async fn forge(stage: &Stage, db: DbNo, user: UserNo, cycle: u64, attempts: &[Attempt]) -> Result<(), CrewError> {
    let credential = stage.service.credential(user).await.map_err(CrewError::Lost)?;
    ask(stage, db, Command::Open { credential, fresh: true }).await?;
    let (mut upsert, mut delete) = (Vec::new(), Vec::new());
    for attempt in attempts {
        let claimed = attempt.owner_claimed().unwrap_or(attempt.victim);
        upsert.push(isolation::row(&stage.setup.table, &attempt.key(), claimed, cycle, true));
        if attempt.verb == Verb::Delete {
            delete.push(attempt.key());
        }
    }
    match ask(stage, db, Command::Write { upsert, delete, patient: false }).await? {
        Reply::Written { error: Some(error), .. } if !is_refusal(&error) => Err(CrewError::Failed(Box::new(error))),
        _ => Ok(()),
    }
}

/// Returns true if the server's error says that it refused what was sent: that is what an attempt should meet.
fn is_refusal(error: &Classified) -> bool {
    use crate::model::finding::Kind;
    matches!(error.kind, Kind::Denied | Kind::Auth | Kind::Http4xx | Kind::Apply)
}

/// Reads what every place holds after the attempts.
async fn look(stage: &Stage, evidence: &mut Evidence) -> Result<(), CrewError> {
    let table = &stage.setup.table;
    for (db, role) in stage.crew.roles().clone() {
        let (user, place) = match role {
            Role::Reader(user) => (user, format!("the reader of user {user}")),
            Role::Load => (stage.setup.user(db, role), format!("DB{db}")),
            Role::Forger(_) | Role::Trial => continue,
        };
        let rows = match ask(stage, db, Command::Inspect { receive: true }).await {
            Ok(Reply::Inspected { rows, .. }) => rows,
            Err(error @ CrewError::Lost(_)) => return Err(error),
            // What the other databases hold is looked at all the same.
            Err(error) => {
                evidence.failed.get_or_insert_with(|| format!("{place} could not be looked at: {}", told(error)));
                continue;
            }
            Ok(_) => continue,
        };
        let probes = isolation::probe_rows(table, &rows);
        let own = user_id(user);
        for (key, owner) in owners(table, &rows).into_iter().filter(|(_, owner)| *owner != own) {
            evidence.see_foreign(user, (&place, matches!(role, Role::Reader(_))), key, owner);
        }
        if matches!(role, Role::Reader(_)) {
            evidence.readers.insert(user, probes);
        }
    }
    evidence.server = server_rows(stage).await?;
    Ok(())
}

fn owners(table: &crate::model::schema::TableSpec, rows: &[Vec<Value>]) -> Vec<(String, String)> {
    let text = |v: &Value| match v {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    rows.iter().map(|row| (text(&row[table.key]), text(&row[table.owner]))).collect()
}

/// Reads the probe rows on the server; `None` where its side is not exercised.
async fn server_rows(stage: &Stage) -> Result<Option<ProbeRows>, CrewError> {
    let Some(gateway) = stage.service.gateway.as_ref().filter(|_| stage.setup.config.verify.server) else {
        return Ok(None);
    };
    let table = &stage.setup.table;
    let sql = format!(
        "SELECT {0} AS k, {1} AS o, {2} AS m FROM {3} WHERE {0} LIKE '{PROBE_PREFIX}%'",
        table.quoted(table.key),
        table.quoted(table.owner),
        table.quoted(table.stamp),
        quote(&table.name)
    );
    let rows = gateway.sql(&sql).await.map_err(|error| CrewError::Failed(Box::new(error.classified())))?;
    let text = |row: &serde_json::Map<String, serde_json::Value>, name: &str| {
        row.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
    };
    Ok(Some(rows.iter().map(|row| (text(row, "k"), (text(row, "o"), text(row, "m")))).collect()))
}

/// Removes every probe row that its owner's reader knows of, and lets all databases take note.
async fn clean(stage: &Stage, cycle: u64) -> Result<(), CrewError> {
    for (db, user) in readers(stage) {
        let Reply::Inspected { rows, .. } = ask(stage, db, Command::Inspect { receive: true }).await? else { continue };
        let own = user_id(user);
        let keys = owners(&stage.setup.table, &rows)
            .into_iter()
            .filter(|(key, owner)| key.starts_with(PROBE_PREFIX) && *owner == own)
            .map(|(key, _)| key)
            .collect::<Vec<_>>();
        if !keys.is_empty() {
            write(stage, db, Vec::new(), keys).await?;
        }
    }
    let all = stage.crew.databases(|role| matches!(role, Role::Load | Role::Reader(_)));
    stage.exchange_all(cycle, &all).await.map_err(CrewError::Lost)?;
    Ok(())
}

/// Writes rows through their rightful owner.
async fn write(stage: &Stage, db: DbNo, upsert: Vec<Vec<Value>>, delete: Vec<String>) -> Result<(), CrewError> {
    match ask(stage, db, Command::Write { upsert, delete, patient: true }).await? {
        Reply::Written { error: Some(error), .. } => Err(CrewError::Failed(Box::new(error))),
        _ => Ok(()),
    }
}

async fn ask(stage: &Stage, db: DbNo, command: Command) -> Result<Reply, CrewError> {
    stage.crew.ask(db, command).await
}

fn readers(stage: &Stage) -> Vec<(DbNo, UserNo)> {
    let pick = |(db, role): (&DbNo, &Role)| match role {
        Role::Reader(user) => Some((*db, *user)),
        _ => None,
    };
    stage.crew.roles().iter().filter_map(pick).collect()
}

fn forgers(stage: &Stage) -> Vec<(DbNo, UserNo)> {
    let pick = |(db, role): (&DbNo, &Role)| match role {
        Role::Forger(user) => Some((*db, *user)),
        _ => None,
    };
    stage.crew.roles().iter().filter_map(pick).collect()
}

/// Tries credentials that must be refused, each from a fresh database.
async fn credentials(stage: &Stage) -> anyhow::Result<Vec<Trial>> {
    let Some(db) = stage.crew.databases(|role| role == Role::Trial).first().copied() else {
        bail!("no database for trials")
    };
    let mut trials = Vec::new();
    let garbage = format!("{}|garbage_{}", 424_242, stage.plan.seed);
    for (name, secret) in [("no credential", Ok(Secret::None)), ("garbage token", Ok(Secret::Token(garbage)))]
        .into_iter()
        .chain([("expired token", issued(stage, true).await), ("revoked token", issued(stage, false).await)])
    {
        let outcome = match secret {
            Ok(secret) => try_one(stage, db, secret).await?,
            Err(outcome) => outcome,
        };
        trials.push(Trial { name, outcome });
    }
    Ok(trials)
}

/// Issues a token that has expired, or one that is revoked again.
async fn issued(stage: &Stage, expired: bool) -> Result<Secret, TrialOutcome> {
    if !stage.setup.rls() {
        return Err(TrialOutcome::NotExercised("without row-level security no tokens are used".into()));
    }
    let Some(gateway) = &stage.service.gateway else {
        return Err(TrialOutcome::NotExercised("no gateway is configured".into()));
    };
    let expires = Utc::now() + if expired { TimeDelta::seconds(-60) } else { TimeDelta::hours(1) };
    let name = if expired { "soakd-expired" } else { "soakd-revoked" };
    let token = gateway.issue_token(name, &user_id(1), Some(expires)).await.map_err(|e| untried(&e))?;
    if !expired {
        gateway.revoke_token(&token).await.map_err(|e| untried(&e))?;
    }
    Ok(Secret::Token(token.expose_secret().to_owned()))
}

async fn try_one(stage: &Stage, db: DbNo, secret: Secret) -> anyhow::Result<TrialOutcome> {
    let opened = stage.crew.ask(db, Command::Open { credential: Secret::None, fresh: true }).await;
    let tried = match opened {
        Ok(_) => stage.crew.ask(db, Command::Trial { credential: secret }).await,
        Err(error) => Err(error),
    };
    came_of(tried)
}

/// Says why a credential could not be made: only what the gateway does not offer is rightly left out.
fn untried(error: &GatewayError) -> TrialOutcome {
    match error {
        GatewayError::Unsupported { .. } => TrialOutcome::NotExercised(error.to_string()),
        other => TrialOutcome::Broken(other.to_string()),
    }
}

/// Reads what came of a trial; whatever kept it from happening is never taken for a refusal.
fn came_of(tried: Result<Reply, CrewError>) -> anyhow::Result<TrialOutcome> {
    Ok(match tried {
        Ok(Reply::Trial { accepted: true, rows, .. }) => TrialOutcome::Accepted { rows },
        Ok(Reply::Trial { error: Some(error), .. }) => TrialOutcome::Refused(error),
        Ok(other) => TrialOutcome::Broken(format!("the database answered {other:?}")),
        Err(CrewError::Lost(error)) => return Err(error),
        Err(error) => TrialOutcome::Broken(told(error)),
    })
}

#[cfg(test)]
mod tests;
