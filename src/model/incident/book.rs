//! The open incidents, and which of them something seen belongs to: by cause, by what it follows from, or a new one. Pure:
//! whoever keeps the book writes down what [`Book::drain`] returns, or throws the book away and reads it again.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Context, Drained, Effect};
use super::rules::{Depth, Sight, cause_of, depth};
use super::{ChangeKind, EVIDENCE_MAX, Incident, IncidentState, OPEN_MAX, RESOLVED_MAX};
use crate::model::finding::{Finding, Side};
use crate::model::record::Outage;

/// The cause of what finds no place any more.
const FURTHER: &str = "further causes";

/// All open incidents, and the causes of resolved ones.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pub(super) open: BTreeMap<u64, Case>,
    pub(super) by_cause: BTreeMap<String, u64>,
    closed: BTreeMap<u64, (String, i64)>,
    last_id: u64,
    outage: Option<Ongoing>,
    pub(super) dirty: BTreeSet<u64>,
    leaving: BTreeMap<u64, Case>,
    dropped: Vec<u64>,
    pub(super) effects: Vec<(u64, Effect)>,
}

/// The last outage of a run, and whether it is part of an incident.
#[derive(Debug, Clone)]
struct Ongoing {
    run: String,
    outage: Outage,
    raised: bool,
}

impl Book {
    /// Makes the book of what was written down; `last_id` is the highest number ever given.
    pub fn new(cases: impl IntoIterator<Item = Case>, last_id: u64) -> Self {
        let mut book = Self { last_id, ..Self::default() };
        for case in cases {
            let incident = &case.incident;
            book.last_id = book.last_id.max(incident.id);
            if incident.state == IncidentState::Open {
                book.by_cause.insert(incident.cause.clone(), incident.id);
                book.open.insert(incident.id, case);
            } else {
                let resolved_ms = incident.resolved_ms.unwrap_or(incident.last_ms);
                book.closed.insert(incident.id, (incident.cause.clone(), resolved_ms));
            }
        }
        for (id, case) in &book.open {
            for cause in case.incident.causes.keys() {
                book.by_cause.entry(cause.clone()).or_insert(*id);
            }
        }
        book
    }

    /// Returns the open incidents.
    pub fn open(&self) -> impl Iterator<Item = &Case> {
        self.open.values()
    }

    /// Returns the highest number ever given.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Returns what has to be written down, and forgets that it has.
    pub fn drain(&mut self) -> Drained {
        let mut cases = std::mem::take(&mut self.leaving);
        let dirty = std::mem::take(&mut self.dirty);
        cases.extend(dirty.into_iter().filter_map(|id| Some((id, self.open.get(&id)?.clone()))));
        Drained { effects: std::mem::take(&mut self.effects), cases, dropped: std::mem::take(&mut self.dropped) }
    }

    /// Takes back what whoever tells people noted in an incident.
    pub fn note(&mut self, case: &Case) {
        if let Some(kept) = self.open.get_mut(&case.incident.id) {
            kept.clone_from(case);
        }
    }

    /// Takes findings in; those that were healed only add to what is open already.
    pub fn add(&mut self, cx: &mut Context<'_>, findings: &[Finding]) {
        let (healed, mut lasting): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|f| !f.lasts());
        // What lies deepest comes first, so that what follows from it finds it.
        lasting.sort_by_key(|finding| (std::cmp::Reverse(depth(finding)), finding.at_ms));
        if let Some(finding) = lasting.first() {
            self.raise_if_long(cx, finding.cycle);
        }
        for finding in lasting {
            self.see(cx, &Sight::of_finding(finding));
        }
        for finding in healed {
            let cause = cause_of(finding);
            let known = self.by_cause.get(&cause).copied();
            // What a retry healed right after a crash is still a part of what the crash did.
            if let Some(id) = known.or_else(|| self.deeper(cx, depth(finding), finding)) {
                self.count(id, cause, 1);
            }
        }
    }

    /// Notes that an outage of the target began or ended; a long one is part of an incident.
    pub fn note_outage(&mut self, cx: &mut Context<'_>, outage: &Outage, cycle: u64) {
        let raised = self.current(cx.run).is_some_and(|known| known.raised && known.outage.from_ms == outage.from_ms);
        self.outage = Some(Ongoing { run: cx.run.to_owned(), outage: outage.clone(), raised });
        self.raise_if_long(cx, cycle);
    }

    fn current(&self, run: &str) -> Option<&Ongoing> {
        self.outage.as_ref().filter(|known| known.run == run)
    }

    fn raise_if_long(&mut self, cx: &mut Context<'_>, cycle: u64) {
        let long = |outage: &Outage| {
            outage.until_ms.unwrap_or(cx.now_ms).saturating_sub(outage.from_ms) >= cx.window.outage_ms
        };
        let recent = |outage: &Outage| outage.until_ms.is_none_or(|until_ms| cx.window.covers(until_ms, cx.now_ms));
        if self.current(cx.run).is_some_and(|o| !o.raised && long(&o.outage) && recent(&o.outage)) {
            self.raise(cx, cycle);
        }
    }

    fn raise(&mut self, cx: &mut Context<'_>, cycle: u64) -> Option<u64> {
        let known = self.outage.as_mut()?;
        known.raised = true;
        let sight = Sight::of_outage(&known.outage.clone(), cycle);
        Some(self.see(cx, &sight))
    }

    /// Returns the incident that something seen belongs to, after adding it there.
    pub(super) fn see(&mut self, cx: &mut Context<'_>, sight: &Sight) -> u64 {
        let id = self.place(cx, sight);
        self.join(cx, id, sight);
        if sight.depth >= Depth::Outage {
            self.gather(cx, id, sight.finding.at_ms);
        }
        id
    }

    /// Finds or makes the incident for something seen.
    fn place(&mut self, cx: &mut Context<'_>, sight: &Sight) -> u64 {
        if let Some(id) = self.by_cause.get(&sight.cause) {
            return *id;
        }
        if sight.depth != Depth::Own
            && let Some(id) = self.root_of(cx, sight)
        {
            return id;
        }
        if let Some(id) = self.reopen(cx, &sight.cause, sight) {
            return id;
        }
        let shallow = |case: &&Case| case.depth < sight.depth && case.depth != Depth::Own;
        if sight.depth >= Depth::Outage
            && let Some(case) =
                self.open.values().filter(shallow).find(|c| cx.window.covers(sight.finding.at_ms, c.since_ms))
        {
            let id = case.incident.id;
            self.rename(cx, id, sight);
            return id;
        }
        self.begin(cx, sight)
    }

    /// Finds the open incident that something follows from, or raises one about the outage that it follows from.
    fn root_of(&mut self, cx: &mut Context<'_>, sight: &Sight) -> Option<u64> {
        let at_ms = sight.finding.at_ms;
        if let Some(id) = self.deeper(cx, sight.depth, &sight.finding) {
            return Some(id);
        }
        let outage = self.current(cx.run).map(|known| known.outage.clone());
        let began = outage.filter(|outage| {
            let end_ms = outage.until_ms.unwrap_or(i64::MAX);
            cx.window.covers(outage.from_ms, at_ms) || (outage.from_ms..=end_ms).contains(&at_ms)
        });
        if sight.depth == Depth::Symptom && began.is_some() {
            return self.raise(cx, sight.finding.cycle);
        }
        None
    }

    /// Returns the open incident nearby that lies deeper than a finding, or as deep and on the same side.
    fn deeper(&self, cx: &Context<'_>, depth: Depth, finding: &Finding) -> Option<u64> {
        let at_ms = finding.at_ms;
        if depth == Depth::Own {
            return None;
        }
        let outage = self.current(cx.run).map(|known| &known.outage);
        let lasts = |root_ms| {
            outage.is_some_and(|outage| {
                let within = at_ms >= outage.from_ms && outage.until_ms.is_none_or(|until_ms| at_ms <= until_ms);
                within && cx.window.covers(root_ms, outage.from_ms)
            })
        };
        let found = self.open.values().filter(|case| {
            let deeper = case.depth > depth && case.depth >= Depth::Outage;
            let alike = case.depth == depth && case.incident.first.side == finding.side;
            let near = |root_ms| cx.window.covers(root_ms, at_ms) || lasts(root_ms);
            (deeper || (alike && depth == Depth::Root)) && case.root_ms.is_some_and(near)
        });
        let nearest = found.max_by_key(|case| (case.incident.first.side == Side::Server, case.root_ms));
        nearest.map(|case| case.incident.id)
    }

    fn begin(&mut self, cx: &mut Context<'_>, sight: &Sight) -> u64 {
        if self.open.len() >= OPEN_MAX && sight.cause != FURTHER {
            let title = format!("further causes, beside {OPEN_MAX} open incidents");
            let further = Sight { cause: FURTHER.into(), depth: Depth::Own, title, ..sight.clone() };
            return match self.by_cause.get(FURTHER) {
                Some(id) => *id,
                None => self.reopen(cx, FURTHER, &further).unwrap_or_else(|| self.begin(cx, &further)),
            };
        }
        self.last_id += 1;
        let (id, at_ms) = (self.last_id, sight.finding.at_ms);
        let incident = Incident {
            id,
            run: cx.run.to_owned(),
            title: sight.title.clone(),
            cause: sight.cause.clone(),
            causes: BTreeMap::new(),
            severity: sight.severity,
            state: IncidentState::Open,
            first: sight.finding.clone(),
            opened_ms: at_ms,
            last_ms: at_ms,
            resolved_ms: None,
            count: 0,
            cycle_first: sight.finding.cycle,
            cycle_last: sight.finding.cycle,
            clean_cycles: 0,
            evidence: Vec::new(),
            history: Vec::new(),
            told_ms: None,
            told_count: 0,
        };
        let seen = (cx.run.to_owned(), sight.finding.cycle);
        let (depth, since_ms) = (sight.depth, at_ms);
        let case = Case { incident, depth, root_ms: None, since_ms, seen, told: false, message: None };
        self.enter(cx, case, ChangeKind::Opened);
        id
    }

    /// Opens a resolved incident of the same cause again; what it shows is what is seen now, its history stays.
    fn reopen(&mut self, cx: &mut Context<'_>, cause: &str, sight: &Sight) -> Option<u64> {
        let id = self.closed.iter().find(|(_, (known, _))| known == cause).map(|(id, _)| *id)?;
        // One that was closed in this very batch is not written down yet.
        let mut case = self.leaving.remove(&id).or_else(|| (cx.fetch)(id))?;
        self.closed.remove(&id);
        case.since_ms = sight.finding.at_ms;
        case.root_ms = None;
        let incident = &mut case.incident;
        incident.state = IncidentState::Open;
        incident.resolved_ms = None;
        incident.severity = sight.severity;
        incident.first = sight.finding.clone();
        incident.title.clone_from(&sight.title);
        incident.evidence.clear();
        incident.cycle_first = sight.finding.cycle;
        self.enter(cx, case, ChangeKind::Reopened);
        Some(id)
    }

    fn enter(&mut self, cx: &Context<'_>, case: Case, what: ChangeKind) {
        let id = case.incident.id;
        for cause in case.incident.causes.keys().chain([&case.incident.cause]) {
            // A cause that moved on meanwhile stays where it is.
            self.by_cause.entry(cause.clone()).or_insert(id);
        }
        self.open.insert(id, case);
        self.change(cx, id, what);
    }

    fn rename(&mut self, cx: &Context<'_>, id: u64, sight: &Sight) {
        let Some(case) = self.open.get_mut(&id) else { return };
        case.depth = sight.depth;
        case.incident.cause.clone_from(&sight.cause);
        case.incident.first = sight.finding.clone();
        let before = std::mem::replace(&mut case.incident.title, sight.title.clone());
        // The title's evidence stands first.
        case.incident.evidence.truncate(EVIDENCE_MAX - 1);
        case.incident.evidence.splice(0..0, sight.evidence.iter().take(1).cloned());
        self.by_cause.insert(sight.cause.clone(), id);
        self.change(cx, id, ChangeKind::Renamed { before });
    }

    /// Closes young incidents that turn out to be a part of another one.
    fn gather(&mut self, cx: &Context<'_>, into: u64, root_ms: i64) {
        let symptom = |case: &&Case| case.depth == Depth::Symptom && case.incident.id != into;
        let young = self.open.values().filter(symptom).filter(|case| cx.window.covers(root_ms, case.since_ms));
        for id in young.map(|case| case.incident.id).collect::<Vec<_>>() {
            let title = self.open.get(&into).map(|case| case.incident.title.clone()).unwrap_or_default();
            self.add_evidence(id, &[format!("belongs to incident {into}: {title}")]);
            self.resolve(cx, id);
            if let Some((_, effect)) = self.effects.last_mut() {
                *effect = Effect::Folded;
            }
        }
    }

    /// Closes an incident.
    pub(super) fn resolve(&mut self, cx: &Context<'_>, id: u64) {
        self.change(cx, id, ChangeKind::Resolved);
        let Some(mut case) = self.open.remove(&id) else { return };
        self.by_cause.retain(|_, of| *of != id);
        case.incident.state = IncidentState::Resolved;
        case.incident.resolved_ms = Some(cx.now_ms);
        self.closed.insert(id, (case.incident.cause.clone(), cx.now_ms));
        self.leaving.insert(id, case);
        if self.closed.len() > RESOLVED_MAX
            && let Some(oldest) = self.closed.iter().min_by_key(|(id, (_, at_ms))| (*at_ms, **id)).map(|(id, _)| *id)
        {
            self.closed.remove(&oldest);
            self.leaving.remove(&oldest);
            self.dropped.push(oldest);
        }
    }
}
