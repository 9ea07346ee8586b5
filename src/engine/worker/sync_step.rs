//! Executes sync calls: retry by what the classifier says, recovery of silent loss, refresh of credentials.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::journal;
use super::protocol::Refused;
use crate::engine::retry::Retry;
use crate::model::finding::{Classified, Finding, Follow};
use crate::model::step::StepOutcome;
use crate::target::sync_sql::{Credential, SyncError, SyncSession};

/// Findings of either kind, healed or not, that one step reports; the rest of its attempts only count.
const FINDINGS_MAX: usize = 8;
/// Credentials that one call may use up: a service that refuses even fresh ones has another reason.
const RENEWALS_MAX: u32 = 2;

/// What one sync call came to, over all its attempts.
#[derive(Debug, Default)]
pub struct Exchange {
    pub moved: u64,
    pub bytes: u64,
    pub attempts: u32,
    pub seq: Option<(u64, u64)>,
    pub refused: Vec<Refused>,
    pub findings: Vec<Finding>,
    /// True if the run was stopped between two attempts: the step did not end and is taken again on resume.
    pub interrupted: bool,
    renewals: u32,
    /// True if the service said that it has confirmed all that was sent.
    pub resting: bool,
    pub outcome: Option<StepOutcome>,
}

impl Exchange {
    /// Returns how the call ended.
    pub fn outcome(&self) -> StepOutcome {
        self.outcome.unwrap_or(StepOutcome::Failed)
    }
}

/// What a sync call needs beside the session.
pub struct Caller<'a> {
    /// Template of every finding: where and when.
    pub finding: &'a dyn Fn(&Classified) -> Finding,
    /// Asks the daemon for a new credential and waits for it.
    pub refresh: &'a mut dyn FnMut() -> Option<Credential>,
    /// Set when the run is to stop: no further attempt is started.
    pub stop: &'a AtomicBool,
    pub cycle: u64,
    pub after_step: u32,
}

/// Sends until it is acknowledged, refused for good, or out of time.
pub fn send(session: &mut SyncSession, mut retry: Retry, caller: &mut Caller<'_>) -> rusqlite::Result<Exchange> {
    let mut done = Exchange::default();
    loop {
        done.attempts += 1;
        let no = journal::begin_send(session.conn(), caller.cycle, caller.after_step)?;
        match session.send() {
            Ok(report) => {
                journal::end_send(session.conn(), no, report.seq)?;
                done.moved += report.rows;
                done.bytes += report.bytes;
                done.seq = report.seq.or(done.seq);
                done.resting = report.status == "synced";
                if let Some(failure) = &report.last_failure {
                    done.note(caller, failure, false);
                }
                done.refused = report
                    .refused
                    .into_iter()
                    .map(|r| Refused { key: r.key, verb: r.verb, reason: r.reason })
                    .collect();
                let refused = !done.refused.is_empty();
                done.outcome = Some(if refused { StepOutcome::Refused } else { StepOutcome::Acknowledged });
                return Ok(done);
            }
            Err(error) => {
                if !done.again(session, &error, &mut retry, caller)? {
                    return Ok(done);
                }
            }
        }
    }
}

/// Receives until the server says that there is no more, or out of time.
pub fn receive(session: &mut SyncSession, mut retry: Retry, caller: &mut Caller<'_>) -> rusqlite::Result<Exchange> {
    let mut done = Exchange::default();
    loop {
        done.attempts += 1;
        match session.receive() {
            Ok(report) => {
                done.moved += report.rows;
                done.bytes += report.bytes;
                if let Some(failure) = &report.last_failure {
                    done.note(caller, failure, false);
                }
                done.outcome = Some(StepOutcome::Acknowledged);
                return Ok(done);
            }
            Err(error) => {
                if !done.again(session, &error, &mut retry, caller)? {
                    return Ok(done);
                }
            }
        }
    }
}

impl Exchange {
    /// Notes the error and says whether to try again, after doing what the classifier says must be done first.
    fn again(
        &mut self,
        session: &mut SyncSession,
        error: &SyncError,
        retry: &mut Retry,
        caller: &mut Caller<'_>,
    ) -> rusqlite::Result<bool> {
        let classified = &error.classified;
        tracing::warn!(side = ?classified.side, kind = ?classified.kind, code = classified.code, during = error.during,
            "error: {}", classified.message);
        if classified.follow == Follow::RefreshToken && self.renew(session, caller) {
            return Ok(true);
        }
        self.note(caller, classified, true);
        match classified.follow {
            Follow::Fail => {
                self.end_badly(StepOutcome::Failed);
                return Ok(false);
            }
            Follow::Resend => {
                journal::mark_resent(session.conn(), caller.cycle)?;
                if let Err(error) = session.reset_position() {
                    self.note(caller, &error.classified, true);
                }
            }
            Follow::Retry | Follow::Indeterminate | Follow::RefreshToken => {}
        }
        match retry.next_delay() {
            Some(delay) => {
                pause(delay, caller.stop);
                self.interrupted = caller.stop.load(Ordering::Relaxed);
                Ok(!self.interrupted)
            }
            None => {
                let may_have_happened = classified.follow == Follow::Indeterminate;
                self.end_badly(if may_have_happened { StepOutcome::Indeterminate } else { StepOutcome::Failed });
                Ok(false)
            }
        }
    }

    /// Gets a new credential for one that has expired, which is foreseen and no error; false when that does not help.
    fn renew(&mut self, session: &mut SyncSession, caller: &mut Caller<'_>) -> bool {
        if self.renewals == RENEWALS_MAX {
            return false;
        }
        self.renewals += 1;
        let Some(credential) = (caller.refresh)() else { return false };
        match session.set_credential(&credential) {
            Ok(()) => true,
            Err(error) => {
                self.note(caller, &error.classified, true);
                false
            }
        }
    }

    /// Keeps a finding; many that were healed never crowd out one that was not.
    fn note(&mut self, caller: &Caller<'_>, classified: &Classified, tolerated: bool) {
        let tolerated = tolerated && classified.follow != Follow::Resend;
        if self.findings.iter().filter(|f| f.tolerated == tolerated).count() < FINDINGS_MAX {
            let mut finding = (caller.finding)(classified);
            finding.tolerated = tolerated;
            self.findings.push(finding);
        }
    }

    /// Without success, nothing that was met is tolerated.
    fn end_badly(&mut self, outcome: StepOutcome) {
        self.outcome = Some(outcome);
        self.findings.iter_mut().for_each(|finding| finding.tolerated = false);
    }
}

/// Sleeps, but wakes early when the run is to stop.
pub fn pause(delay: Duration, stop: &AtomicBool) {
    let until = Instant::now() + delay;
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}
