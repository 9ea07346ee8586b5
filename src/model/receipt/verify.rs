//! Examines a receipt, line by line and in bounded memory: which lines were edited, dropped, put elsewhere, doubled or added.
//! It goes on after the first fault as far as the rest can be told apart. Who rewrites a whole receipt from some line on makes
//! one that holds together: only a digest that was kept elsewhere tells that.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DIGEST, FORMAT, canonical, sha256};

/// Faults that are named; further ones are counted.
pub const PROBLEMS_MAX: usize = 20;
/// Gaps between cycles that are followed up.
const GAPS_MAX: usize = 1000;

/// What was done to a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Edited,
    Dropped,
    Reordered,
    Duplicated,
    Appended,
    CutOff,
    /// A line of another receipt, or one that was made anew with a digest of its own.
    Foreign,
    /// The digest that was kept elsewhere is none of this receipt.
    OtherHead,
}

impl Fault {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Dropped => "dropped",
            Self::Reordered => "re-ordered",
            Self::Duplicated => "duplicated",
            Self::Appended => "appended",
            Self::CutOff => "cut off",
            Self::Foreign => "does not follow",
            Self::OtherHead => "another head",
        }
    }
}

/// One thing that is wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub line: u64,
    pub fault: Fault,
    pub text: String,
}

/// What an examination came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub lines: u64,
    /// The line of the run, if it is intact.
    pub run: Option<Value>,
    /// The last line, if it is intact: how the run ended, or that it went on.
    pub last: Option<Value>,
    /// The last cycle in its place.
    pub cycles: u64,
    /// Digest of the end, or of the last cycle of a run that went on.
    pub head: String,
    /// In the order of their lines, the first ones.
    pub problems: Vec<Problem>,
    pub problems_more: u64,
    /// Where the digest that was asked for stands: the line, and what it is.
    pub covered: Option<(u64, String)>,
}

impl Found {
    /// Returns true if the last line is that of the run's end.
    pub fn ended(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last["kind"] == "end")
    }
}

/// Takes in the lines of a receipt one after another.
#[derive(Debug, Default)]
pub struct Examiner {
    wanted: Option<String>,
    found: Found,
    begun: bool,
    closed: bool,
    /// Digest that the next line must name; `None` after a line that cannot be trusted.
    expected: Option<String>,
    /// Lines since the last cycle in its place that cannot be trusted: each may be a cycle or an addition.
    doubtful: u64,
    /// First missing cycle -> last missing one, and the line before which they are missing.
    gaps: BTreeMap<u64, (u64, u64)>,
    last_digest: String,
}

impl Examiner {
    /// Begins an examination; `wanted` is a digest that the receipt must have.
    pub fn new(wanted: Option<String>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Takes in one line without its end; `cut` says that the file ended before the line did. The error says why this is no
    /// receipt that can be examined.
    pub fn line(&mut self, bytes: &[u8], cut: bool) -> Result<(), String> {
        self.found.lines += 1;
        let parsed: Option<Value> = serde_json::from_slice(bytes).ok().filter(Value::is_object);
        let Some(value) = parsed else {
            if self.found.lines == 1 {
                return Err("its first line is no line of a receipt".to_owned());
            }
            match cut {
                true => self.problem(Fault::CutOff, "the file ends in the midst of this line"),
                false => self.doubt("it is no JSON object any more"),
            }
            return Ok(());
        };
        let kind = value["kind"].as_str().unwrap_or_default();
        if self.found.lines == 1 && !["run", "cycle", "end", "open"].contains(&kind) {
            return Err("its first line is no line of a receipt".to_owned());
        }
        let what = what(&value);
        match intact(bytes, &value) {
            Err(why) => {
                self.begun |= kind == "run";
                self.closed |= kind == "end" || kind == "open";
                self.doubt(&format!("it says that it is {what}, and {why}"));
                return Ok(());
            }
            Ok(digest) => {
                if self.wanted.as_ref() == Some(&digest) {
                    self.found.covered = Some((self.found.lines, what));
                }
                if digest == self.last_digest {
                    self.problem(Fault::Duplicated, "it is the line before it once more");
                    return Ok(());
                }
                self.last_digest.clone_from(&digest);
                match (kind, value["cycle"].as_u64(), value["cycles"].as_u64()) {
                    ("run", ..) => return self.run(value, digest),
                    ("cycle", Some(no), _) => self.cycle(no, &value, digest),
                    ("end" | "open", _, Some(cycles)) => self.end(cycles, value, digest),
                    _ => self.doubt("it is of no kind that a receipt has"),
                }
            }
        }
        Ok(())
    }

    fn run(&mut self, value: Value, digest: String) -> Result<(), String> {
        if value["format"].as_u64() != Some(FORMAT.into()) {
            return Err(format!(
                "it has format {}, and this soakd knows format {FORMAT}; use the soakd that wrote it",
                value["format"]
            ));
        }
        match (&self.found.run, self.found.lines) {
            (None, 1) => {}
            (None, _) if !self.begun => {
                self.problem(Fault::Reordered, "the line of the run belongs at the beginning");
                self.found.run = Some(value);
                self.begun = true;
                return Ok(());
            }
            _ => {
                self.problem(Fault::Foreign, &format!("the receipt of run {} begins here", value["run"]));
                (self.found.cycles, self.doubtful, self.closed) = (0, 0, false);
                self.expected = Some(digest);
                return Ok(());
            }
        }
        self.begun = true;
        self.expected = Some(digest.clone());
        self.found.head = digest;
        self.found.run = Some(value);
        Ok(())
    }

    fn cycle(&mut self, no: u64, value: &Value, digest: String) {
        if let Some(line) = self.fill_gap(no) {
            return self.problem(Fault::Reordered, &format!("cycle {no} belongs before line {line}"));
        }
        if self.closed {
            return self.problem(Fault::Appended, &format!("cycle {no} stands after the end"));
        }
        let last = self.found.cycles;
        if no <= last {
            return self.problem(Fault::Duplicated, &format!("cycle {no} stands here once more"));
        }
        let due = last.saturating_add(1).saturating_add(self.doubtful);
        if no > due {
            self.gap(due, no - 1);
        } else if self.expected.as_deref().is_some_and(|expected| value["previous"] != expected) {
            self.strange(&format!("cycle {no}"));
        }
        (self.found.cycles, self.doubtful) = (no, 0);
        self.found.head.clone_from(&digest);
        self.expected = Some(digest);
    }

    fn end(&mut self, cycles: u64, value: Value, digest: String) {
        if self.closed {
            return self.problem(Fault::Appended, "it stands after the end");
        }
        let due = self.found.cycles.saturating_add(1).saturating_add(self.doubtful);
        if cycles >= due {
            self.gap(due, cycles);
        } else if cycles < self.found.cycles
            || self.expected.as_deref().is_some_and(|expected| value["previous"] != expected)
        {
            self.strange("it");
        }
        self.closed = true;
        if value["kind"] == "end" {
            self.found.head = digest;
        }
        self.found.last = Some(value);
    }

    /// Ends the examination; the error says why this is no receipt that can be examined.
    pub fn finish(mut self) -> Result<Found, String> {
        if self.found.lines == 0 {
            return Err("it is empty".to_owned());
        }
        let cut = self.found.problems.iter().any(|problem| problem.fault == Fault::CutOff);
        if !self.closed && !cut {
            let text =
                "the last line must say how the run ended or that it went on: the rest was cut off after this line";
            self.problem(Fault::CutOff, text);
        }
        if let (Some(wanted), None) = (&self.wanted, &self.found.covered) {
            let text = format!(
                "no intact line has the digest {wanted}: this is not the receipt that it was taken from, or what it stands for was cut off or rewritten"
            );
            self.problem(Fault::OtherHead, &text);
        }
        let problems = &mut self.found.problems;
        if !self.begun {
            let text = "the line of the run is missing before it".to_owned();
            problems.push(Problem { line: 1, fault: Fault::Dropped, text });
        }
        for (from, (until, line)) in self.gaps {
            let which =
                if from == until { format!("cycle {from} is") } else { format!("cycles {from} to {until} are") };
            problems.push(Problem { line, fault: Fault::Dropped, text: format!("{which} missing before it") });
        }
        problems.sort_by_key(|problem| problem.line);
        self.found.problems_more += problems.len().saturating_sub(PROBLEMS_MAX) as u64;
        problems.truncate(PROBLEMS_MAX);
        Ok(self.found)
    }

    /// Notes a line whose place and content cannot be trusted.
    fn doubt(&mut self, text: &str) {
        self.problem(Fault::Edited, text);
        self.doubtful += 1;
        self.expected = None;
    }

    /// Notes a whole line that does not name the digest of the one before it.
    fn strange(&mut self, what: &str) {
        let text = format!(
            "{what} does not name the digest of the line before it: that line was rewritten with a new digest, or one of \
             the two is of another receipt"
        );
        self.problem(Fault::Foreign, &text);
    }

    fn gap(&mut self, from: u64, until: u64) {
        if self.gaps.len() < GAPS_MAX {
            self.gaps.insert(from, (until, self.found.lines));
        } else {
            self.found.problems_more += 1;
        }
    }

    /// Takes a cycle out of the gap that it is missing in, and returns the line that follows the gap.
    fn fill_gap(&mut self, no: u64) -> Option<u64> {
        let (&from, &(until, line)) = self.gaps.range(..=no).next_back()?;
        if no > until {
            return None;
        }
        self.gaps.remove(&from);
        if from < no {
            self.gaps.insert(from, (no - 1, line));
        }
        if no < until {
            self.gaps.insert(no + 1, (until, line));
        }
        Some(line)
    }

    fn problem(&mut self, fault: Fault, text: &str) {
        let line = self.found.lines;
        if self.found.problems.len() < PROBLEMS_MAX {
            self.found.problems.push(Problem { line, fault, text: text.to_owned() });
        } else {
            self.found.problems_more += 1;
        }
    }
}

/// Returns the digest of a line whose text and digest are as soakd writes them, or what is wrong with it.
fn intact(bytes: &[u8], value: &Value) -> Result<String, &'static str> {
    if canonical(value).as_bytes() != bytes {
        return Err("it is not written as soakd writes it");
    }
    let mut fields = value.clone();
    let digest = fields.as_object_mut().and_then(|fields| fields.remove(DIGEST));
    match digest {
        Some(Value::String(digest)) if digest == sha256(&canonical(&fields)) => Ok(digest),
        Some(_) => Err("what it says does not give its digest"),
        None => Err("it has no digest"),
    }
}

/// Returns what a line says that it is.
fn what(value: &Value) -> String {
    match value["kind"].as_str() {
        Some("run") => "the line of the run".to_owned(),
        Some("cycle") => value["cycle"].as_u64().map_or_else(|| "a cycle".to_owned(), |no| format!("cycle {no}")),
        Some("end") => "the end of the run".to_owned(),
        Some("open") => "the last line of a run that goes on".to_owned(),
        _ => "nothing that a receipt has".to_owned(),
    }
}
