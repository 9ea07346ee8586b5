//! What a transaction does about incidents and messages beside its own work. The open incidents are kept in memory as they
//! are in the file: a transaction takes them, and only one that was committed gives them back.

use redb::{ReadableTable, WriteTransaction};

use super::outbox;
use super::tables::{self, DAEMON, INCIDENTS};
use super::{Store, StoreError};
use crate::clock::Clock;
use crate::model::finding::Finding;
use crate::model::incident::book::Book;
use crate::model::incident::case::{Case, Context, Effect};
use crate::model::incident::rules::{REGRESSION, Window};
use crate::model::incident::{ChangeKind, Incident, IncidentState};
use crate::model::message::{Message, Policy, Postage, Subject};
use crate::model::record::{CycleRecord, Outage};

/// Name of the record of [`Postage`].
pub(super) const POSTAGE: &[u8] = b"postage";
/// Changes that wait to be taken; nobody may be taking them.
const CHANGES_MAX: usize = 1000;

/// What is kept between two transactions.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    book: Book,
    /// As it was written last.
    postage: Postage,
}

impl Kept {
    fn load(txn: &WriteTransaction) -> Result<Self, StoreError> {
        let postage: Postage = tables::get(&txn.open_table(DAEMON)?, DAEMON, POSTAGE)?.unwrap_or_default();
        let mut cases: Vec<Case> = Vec::new();
        for row in txn.open_table(INCIDENTS)?.iter()? {
            let case: Case = tables::parse(INCIDENTS, row?.1.value())?;
            cases.push(case);
        }
        Ok(Self { book: Book::new(cases, postage.last_incident), postage })
    }
}

/// What is at hand within one transaction.
pub(super) struct Desk<'a> {
    book: Book,
    pub(super) postage: Postage,
    pub(super) policy: &'a Policy,
    pub(super) now_ms: i64,
    clock: Clock,
    changes: Vec<(Incident, ChangeKind)>,
}

impl Store {
    /// Runs `work` in one durable transaction together with what it means for incidents and messages.
    pub(super) fn write_told<T>(
        &mut self,
        work: impl FnOnce(&WriteTransaction, &mut Desk<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (kept, policy, clock) = (self.kept.take(), self.policy.clone(), self.clock);
        let channels_changed = self.channels_changed;
        let (out, kept, changes) = self.write(|txn| {
            let kept = kept.map_or_else(|| Kept::load(txn), Ok)?;
            let before = kept.postage.clone();
            let mut desk = Desk {
                book: kept.book,
                postage: kept.postage,
                policy: &policy,
                now_ms: clock.now_ms(),
                clock,
                changes: Vec::new(),
            };
            if channels_changed {
                outbox::forget_channels(txn, &mut desk)?;
            }
            let out = work(txn, &mut desk)?;
            desk.settle(txn)?;
            if desk.postage != before {
                tables::put(&mut txn.open_table(DAEMON)?, DAEMON, POSTAGE, &desk.postage)?;
            }
            Ok((out, Kept { book: desk.book, postage: desk.postage }, desk.changes))
        })?;
        self.kept = Some(kept);
        self.channels_changed = false;
        self.changes.extend(changes);
        let over = self.changes.len().saturating_sub(CHANGES_MAX);
        self.changes.drain(..over);
        Ok(out)
    }
}

impl Desk<'_> {
    /// Takes findings in.
    pub(super) fn add(&mut self, txn: &WriteTransaction, run: &str, findings: &[Finding]) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        self.with_book(txn, run, |book, cx| book.add(cx, findings))
    }

    /// Takes the beginnings and ends of outages in.
    pub(super) fn note_outages(
        &mut self,
        txn: &WriteTransaction,
        run: &str,
        outages: &[Outage],
        cycle: u64,
    ) -> Result<(), StoreError> {
        self.with_book(txn, run, |book, cx| outages.iter().for_each(|outage| book.note_outage(cx, outage, cycle)))
    }

    /// Takes the checks of a cycle in, and resolves what was not seen for long enough.
    pub(super) fn close_cycle(
        &mut self,
        txn: &WriteTransaction,
        run: &str,
        cycle: &CycleRecord,
    ) -> Result<(), StoreError> {
        let resolve_after = self.policy.resolve_after;
        self.with_book(txn, run, |book, cx| book.close_cycle(cx, cycle, resolve_after))
    }

    /// Resolves the incident about a regression: a comparison found nothing that is worse.
    pub(super) fn recovered(&mut self, txn: &WriteTransaction, run: &str) -> Result<(), StoreError> {
        self.with_book(txn, run, |book, cx| book.resolve_cause(cx, REGRESSION))
    }

    /// Takes in which criteria of a run failed, and the causes of those that hold.
    pub(super) fn judged(
        &mut self,
        txn: &WriteTransaction,
        run: &str,
        alarms: &[Finding],
        held: &[String],
    ) -> Result<(), StoreError> {
        self.with_book(txn, run, |book, cx| book.judged(cx, alarms, held))
    }

    /// Returns true if an incident is open or anything happened to one since then.
    pub(super) fn news_since(&self, txn: &WriteTransaction, since_ms: i64) -> Result<bool, StoreError> {
        if self.book.open().next().is_some() {
            return Ok(true);
        }
        for row in txn.open_table(INCIDENTS)?.iter()?.rev() {
            let case: Case = tables::parse(INCIDENTS, row?.1.value())?;
            if case.incident.last_ms >= since_ms || case.incident.history.iter().any(|c| c.at_ms >= since_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets the rules work, with resolved incidents read from the file as they ask for them.
    fn with_book(
        &mut self,
        txn: &WriteTransaction,
        run: &str,
        work: impl FnOnce(&mut Book, &mut Context<'_>),
    ) -> Result<(), StoreError> {
        let mut problem = None;
        let table = txn.open_table(INCIDENTS)?;
        let mut fetch = |id: u64| {
            tables::get::<Case>(&table, INCIDENTS, &id.to_be_bytes()).unwrap_or_else(|error| {
                problem = Some(error);
                None
            })
        };
        let mut cx = Context { run, now_ms: self.now_ms, window: Window::new(self.clock.scale()), fetch: &mut fetch };
        work(&mut self.book, &mut cx);
        problem.map_or(Ok(()), Err)
    }

    /// Writes down what the rules came to, and queues what is to be told of it.
    fn settle(&mut self, txn: &WriteTransaction) -> Result<(), StoreError> {
        let mut drained = self.book.drain();
        for (id, effect) in &drained.effects {
            let Some(case) = drained.cases.get_mut(id) else { continue };
            self.tell(txn, case, effect)?;
            self.book.note(case);
            let what = match effect {
                Effect::Changed(what) => what.clone(),
                Effect::Folded => ChangeKind::Resolved,
            };
            self.changes.push((case.incident.clone(), what));
        }
        let mut table = txn.open_table(INCIDENTS)?;
        for (id, case) in &drained.cases {
            tables::put(&mut table, INCIDENTS, &id.to_be_bytes(), case)?;
        }
        for id in &drained.dropped {
            table.remove(id.to_be_bytes().as_slice())?;
        }
        self.postage.last_incident = self.book.last_id();
        Ok(())
    }

    fn tell(&mut self, txn: &WriteTransaction, case: &mut Case, effect: &Effect) -> Result<(), StoreError> {
        let over = matches!(effect, Effect::Folded | Effect::Changed(ChangeKind::Resolved));
        if *effect == Effect::Folded
            && let Some(message) = case.message
            && outbox::withdraw(txn, message, self.now_ms)?
        {
            // The other incident tells of it.
            (case.told, case.message, case.incident.told_ms) = (false, None, None);
            self.postage.queued_ms.pop();
        }
        let subject = self.policy.subject(case, effect, &mut self.postage, self.now_ms);
        if over {
            case.told = false;
        }
        let Some(subject) = subject else { return Ok(()) };
        let wait_ms = if over { 0 } else { self.policy.group_wait_ms };
        if let Some(message) = self.queue(txn, subject, Some(&case.incident.run), wait_ms)? {
            case.told = !over;
            case.message = Some(message.id);
            case.incident.told_ms = Some(self.now_ms);
            case.incident.told_count = case.incident.count;
        }
        Ok(())
    }

    /// Queues a message for all channels, if there are any.
    pub(super) fn queue(
        &mut self,
        txn: &WriteTransaction,
        subject: Subject,
        run: Option<&str>,
        wait_ms: i64,
    ) -> Result<Option<Message>, StoreError> {
        if self.policy.channels.is_empty() {
            return Ok(None);
        }
        self.postage.last_message += 1;
        let message = Message {
            id: self.postage.last_message,
            key: uuid::Uuid::now_v7().to_string(),
            subject,
            run: run.map(str::to_owned),
            made_ms: self.now_ms,
            due_ms: self.now_ms.saturating_add(wait_ms),
            channels: self.policy.channels.iter().map(|channel| (channel.clone(), Default::default())).collect(),
        };
        outbox::put(txn, &mut self.postage, &message)?;
        Ok(Some(message))
    }
}

/// Returns true if an incident is open.
pub(super) fn is_open(case: &Case) -> bool {
    case.incident.state == IncidentState::Open
}
