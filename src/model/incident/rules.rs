//! What one finding or one check says about its cause: what it is called, how deep it lies, and what can follow from it.

use serde::{Deserialize, Serialize};

use super::{Severity, TITLE_CHARS_MAX};
use crate::model::finding::{Finding, Kind, Side, cut};
use crate::model::record::{CycleRecord, Outage};
use crate::model::verdict::CheckResult;

/// What begins the causes of checks that failed, and of checks that proved nothing.
pub const CHECK: &str = "check/";
pub const UNPROVEN: &str = "inconclusive/";
/// The cause of everything that got worse: whatever shows it, it is one build that did it.
pub const REGRESSION: &str = "regression";
/// What begins the causes of criteria of a whole run.
pub const CRITERION: &str = "criterion.";
/// Evidence lines that one failed check adds.
const CHECK_LINES: usize = 10;

/// How deep a cause lies: what is deeper is the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// May well be what something deeper looks like from outside.
    Symptom,
    /// Stands for itself.
    Own,
    /// The target did not answer.
    Outage,
    /// Something ended, hung, broke or is full.
    Root,
}

/// How far symptoms may be from what they follow from.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// A client notices the end of a server before its supervisor does.
    before_ms: i64,
    after_ms: i64,
    /// Outages that last this long are incidents even if nobody met an error.
    pub outage_ms: i64,
}

impl Window {
    /// Returns the window for a clock that runs `scale` times as fast as processes and networks do.
    pub fn new(scale: u32) -> Self {
        let scaled = |ms: i64| ms.saturating_mul(i64::from(scale.max(1)));
        Self { before_ms: scaled(15_000), after_ms: scaled(60_000), outage_ms: scaled(10_000) }
    }

    /// Returns true if what was seen at `at_ms` can follow from what was seen at `root_ms`.
    pub fn covers(self, root_ms: i64, at_ms: i64) -> bool {
        let after = at_ms.saturating_sub(root_ms);
        (-self.before_ms..=self.after_ms).contains(&after)
    }
}

/// One thing seen, as far as incidents go.
#[derive(Debug, Clone)]
pub struct Sight {
    pub cause: String,
    pub depth: Depth,
    pub severity: Severity,
    pub title: String,
    pub finding: Finding,
    pub evidence: Vec<String>,
}

impl Sight {
    /// Looks at a finding.
    pub fn of_finding(finding: &Finding) -> Self {
        let depth = depth(finding);
        // The last log lines of what crashed differ every time.
        let title = if depth == Depth::Root { headline(&finding.message) } else { &finding.message };
        Self {
            cause: cause_of(finding),
            depth,
            severity: if finding.side == Side::Soakd { Severity::Warning } else { Severity::Failure },
            title: short(title),
            evidence: vec![line(finding)],
            finding: Finding {
                message: cut(&finding.message),
                code: finding.code.as_deref().map(short),
                phase: short(&finding.phase),
                ..*finding
            },
        }
    }

    /// Looks at a check that did not pass; `cause` says how.
    pub fn of_check(check: &CheckResult, cause: String, severity: Severity, (at_ms, cycle): (i64, u64)) -> Self {
        let kind = if check.check.starts_with("isolation") { Kind::Isolation } else { Kind::Divergence };
        let message = cut(&format!("{}: {}", check.check, check.summary));
        let mut evidence: Vec<String> = check.evidence.iter().take(CHECK_LINES).map(|line| cut(line)).collect();
        if evidence.is_empty() {
            evidence.push(message.clone());
        }
        let finding = Finding::new(at_ms, cycle, "verify", (Side::Server, kind), &message);
        Self { cause, depth: Depth::Own, severity, title: short(&finding.message), finding, evidence }
    }

    /// Looks at an outage.
    pub fn of_outage(outage: &Outage, cycle: u64) -> Self {
        let message = match outage.until_ms {
            Some(until_ms) => format!(
                "the target did not answer its liveness probe for {} s: {}",
                until_ms.saturating_sub(outage.from_ms) / 1000,
                outage.reason
            ),
            None => format!("the target does not answer its liveness probe: {}", outage.reason),
        };
        let finding = Finding::new(outage.from_ms, cycle, "-", (Side::Server, Kind::Timeout), &message);
        Self {
            cause: short(&without_digits(&format!("outage: {}", outage.reason))),
            depth: Depth::Outage,
            severity: Severity::Warning,
            title: short(&finding.message),
            evidence: vec![finding.message.clone()],
            finding,
        }
    }
}

/// Returns how deep a finding lies.
pub fn depth(finding: &Finding) -> Depth {
    match finding.kind {
        Kind::Crash | Kind::Stuck | Kind::DiskFull | Kind::Corrupt => Depth::Root,
        Kind::Refused | Kind::Reset | Kind::Timeout | Kind::Http5xx | Kind::Protocol | Kind::Busy => Depth::Symptom,
        // The provider hides why a transfer failed.
        Kind::Other if finding.side == Side::Network => Depth::Symptom,
        _ => Depth::Own,
    }
}

/// Returns the cause that a finding is joined by; a failed check that was written down as a finding has the check's cause.
pub fn cause_of(finding: &Finding) -> String {
    if finding.kind == Kind::Regression {
        return REGRESSION.to_owned();
    }
    if matches!(finding.kind, Kind::Divergence | Kind::Isolation)
        && let Some((check, summary)) = finding.message.split_once(": ")
        && !check.contains(' ')
    {
        return check_cause(check, summary);
    }
    if let (Kind::Criterion, Some(code)) = (finding.kind, &finding.code) {
        return short(code);
    }
    let cause = finding.cause();
    if depth(finding) == Depth::Root { short(headline(&cause)) } else { short(&cause) }
}

/// Returns the cause of a failed check: its name and the class of what it found first. Users do not tell causes apart.
pub fn check_cause(check: &str, summary: &str) -> String {
    let class = if check.starts_with("health") {
        // How the judge of errors ends the line of the first one: `(network/refused)`.
        summary.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map(|(_, class)| class)
    } else {
        summary.split_once("first: ").and_then(|(_, rest)| rest.split_once(": ")).map(|(class, _)| class)
    };
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '/');
    let class = class.filter(|class| !class.is_empty() && class.len() <= 40 && class.chars().all(is_word));
    let name = check_name(check);
    short(&class.map_or_else(|| format!("{CHECK}{name}"), |class| format!("{CHECK}{name}/{class}")))
}

/// Returns the name of a check as causes have it.
pub fn check_name(check: &str) -> String {
    without_digits(&check.replace('/', "."))
}

/// Returns the check that a cause comes from, if it comes from one.
pub fn check_in(cause: &str) -> Option<&str> {
    let rest = cause.strip_prefix(CHECK).or_else(|| cause.strip_prefix(UNPROVEN))?;
    rest.split('/').next()
}

/// Returns one line of evidence about a finding.
pub fn line(finding: &Finding) -> String {
    let mut place = String::new();
    for (name, number) in
        [("DB", finding.db), ("user ", finding.user), ("iter ", finding.iter), ("step ", finding.step)]
    {
        if let Some(number) = number {
            place.push_str(&format!("[{name}{number}]"));
        }
    }
    let space = if place.is_empty() { "" } else { " " };
    format!("{place}{space}{}", cut(&finding.message))
}

/// Returns true if every check that an incident comes from passed in a cycle, and something was looked at at all.
pub fn proves_clean<'a>(causes: impl Iterator<Item = &'a String> + Clone, cycle: &CycleRecord) -> bool {
    use crate::model::verdict::Verdict;
    // A cycle says nothing about a build that got slower: another comparison does.
    if causes.clone().any(|cause| cause == REGRESSION) {
        return false;
    }
    let passed = |wanted: &dyn Fn(&str) -> bool| {
        let mut verdicts = cycle.checks.iter().filter(|c| wanted(&c.check)).filter_map(|c| c.verdict).peekable();
        verdicts.peek().is_some() && verdicts.all(|verdict| verdict == Verdict::Pass)
    };
    if cycle.verdict != Verdict::Pass && causes.clone().any(|cause| check_in(cause).is_none()) {
        return passed(&|name| name.starts_with("health"))
            && causes.filter_map(|cause| check_in(cause)).all(|check| passed(&|name| check_name(name) == check));
    }
    causes.filter_map(|cause| check_in(cause)).all(|check| {
        let whole_cycle = check == "cycle" && cycle.verdict == Verdict::Pass;
        whole_cycle || passed(&|name| check_name(name) == check)
    })
}

/// Cuts a text to the length of a title.
pub fn short(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = text.chars().take(TITLE_CHARS_MAX).map(clean).collect();
    if text.chars().nth(TITLE_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// Returns what comes before the details of a crash.
fn headline(message: &str) -> &str {
    message.split_once("; ").map_or(message, |(head, _)| head)
}

fn without_digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if c != '#' || !out.ends_with('#') {
            out.push(c);
        }
    }
    out
}
