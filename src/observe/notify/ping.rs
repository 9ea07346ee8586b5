//! The dead-man switch: somebody outside who is called on real progress, and raises the alarm when the calls stop.

use std::time::Duration;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};

use super::channels::address;
use super::{SendError, http};
use crate::config::PingConfig;
use crate::engine::event::RunEvent;
use crate::model::record::Phase;
use crate::model::verdict::Verdict;

/// Longest time that one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts at one call; later it would tell of a progress that is long past.
const TRIES_MAX: u32 = 3;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// A cycle has begun.
    Start,
    /// A cycle has passed.
    Success,
    /// A cycle has failed.
    Fail,
}

/// Where it is told.
pub struct Ping {
    client: Client,
    /// The configuration key of the address.
    key: String,
    address: SecretString,
    pub(super) every: Duration,
}

impl Ping {
    pub(super) fn resolve(config: &PingConfig) -> Result<Self, String> {
        let (key, address) = address("notify.ping", config.address.as_deref(), config.secret_address.as_ref())?;
        let client = http::client(TIMEOUT).map_err(|why| format!("notify.ping: {why}"))?;
        Ok(Self { client, key, address, every: config.every.get() })
    }

    /// Makes one call.
    pub(super) async fn call(&self, call: Call) -> Result<(), SendError> {
        let base = self.address.expose_secret();
        // The path ends before a query, if there is one.
        let (path, query) = base.split_at(base.find('?').unwrap_or(base.len()));
        let path = path.trim_end_matches('/');
        let request = match call {
            Call::Start => self.client.get(format!("{path}/start{query}")),
            Call::Success => self.client.get(base),
            Call::Fail => self.client.get(format!("{path}/fail{query}")),
        };
        http::call(request, &self.key, &self.key, TIMEOUT).await
    }

    /// Shows that the address can be called, without telling of a progress that was none.
    pub async fn test(&self) -> Result<(), SendError> {
        self.call(Call::Start).await
    }
}

impl std::fmt::Debug for Ping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ping").field("key", &self.key).field("every", &self.every).finish_non_exhaustive()
    }
}

/// Which call is to be made next: at most one waits, and a failure is not replaced by anything else.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waits: Option<Call>,
    tries: u32,
}

impl Pending {
    /// Takes note of an event. A verdict that proves nothing is told to nobody: the switch then runs out.
    pub(super) fn note(&mut self, event: &RunEvent) {
        let call = match event {
            RunEvent::Phase { phase: Phase::Load, .. } => Call::Start,
            RunEvent::Cycle(cycle) if cycle.verdict == Verdict::Pass => Call::Success,
            RunEvent::Cycle(cycle) if cycle.verdict == Verdict::Fail => Call::Fail,
            _ => return,
        };
        let keep = match self.waits {
            Some(Call::Fail) => call != Call::Fail,
            // The start of the next cycle says less than the success of the last one.
            Some(Call::Success) => call == Call::Start,
            Some(Call::Start) | None => false,
        };
        if !keep {
            *self = Self { waits: Some(call), tries: 0 };
        }
    }

    /// Returns the call that waits.
    pub(super) fn waiting(&self) -> Option<Call> {
        self.waits
    }

    /// Notes how a call ended; one that failed waits on unless it was tried often enough or something newer waits.
    pub(super) fn made(&mut self, call: Call, succeeded: bool) {
        if self.waits != Some(call) {
            return;
        }
        self.tries += 1;
        if succeeded || self.tries >= TRIES_MAX {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::report::sample::passing;

    fn load() -> RunEvent {
        RunEvent::Phase { cycle: 1, phase: Phase::Load, steps: None }
    }

    fn cycle(verdict: Verdict) -> RunEvent {
        let mut cycle = passing().cycles.remove(0);
        cycle.verdict = verdict;
        RunEvent::Cycle(Box::new(cycle))
    }

    #[test]
    fn only_progress_is_told() {
        let mut pending = Pending::default();
        let progress = RunEvent::Progress { steps_done: 1, rows: 1, errors: 0 };
        let verify = RunEvent::Phase { cycle: 1, phase: Phase::Verify, steps: None };
        for nothing in
            [progress, verify, RunEvent::Log("x".into()), cycle(Verdict::Inconclusive), cycle(Verdict::Aborted)]
        {
            pending.note(&nothing);
            assert_eq!(pending.waiting(), None, "{nothing:?}");
        }
        for (event, call) in [
            (load(), Call::Start),
            (cycle(Verdict::Pass), Call::Success),
            (load(), Call::Success),
            (cycle(Verdict::Fail), Call::Fail),
            (load(), Call::Fail),
            (cycle(Verdict::Pass), Call::Fail),
        ] {
            pending.note(&event);
            assert_eq!(pending.waiting(), Some(call), "{event:?}");
        }
    }

    #[test]
    fn a_call_that_fails_is_tried_a_few_times() {
        let mut pending = Pending::default();
        pending.note(&cycle(Verdict::Pass));
        for _ in 1..TRIES_MAX {
            pending.made(Call::Success, false);
            assert_eq!(pending.waiting(), Some(Call::Success));
        }
        pending.made(Call::Success, false);
        assert_eq!(pending.waiting(), None);
        pending.note(&load());
        pending.made(Call::Start, true);
        assert_eq!(pending.waiting(), None);
    }

    #[test]
    fn a_failure_that_comes_during_a_call_is_not_lost() {
        let mut pending = Pending::default();
        pending.note(&cycle(Verdict::Pass));
        pending.note(&cycle(Verdict::Fail));
        pending.made(Call::Success, true);
        assert_eq!(pending.waiting(), Some(Call::Fail));
    }
}
