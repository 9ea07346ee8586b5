//! The verdicts of the bank's checks.

use super::{AccountsAudit, Difference, Lines, PairGap, Rule, TransfersAudit, Violations};
use crate::model::verdict::{CheckResult, Verdict};

/// What the ledger says.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Acknowledged operations that inserted accounts, or tried nothing else.
    pub inserts: u64,
    pub transfers: u64,
    /// Reads and checks that saw something.
    pub looks: u64,
    pub inserted: u64,
    pub deleted: u64,
    /// Money of all accounts as they were made.
    pub initial: i64,
    /// Money of deleted accounts when they were deleted.
    pub taken: i64,
    /// Deleted accounts of which nobody knows what they held.
    pub unknown: u64,
    /// There was more than the ledger keeps.
    pub overflow: bool,
    pub violations: Violations,
}

/// Operations of which nobody knows how they ended.
#[derive(Debug, Clone, Default)]
pub struct Unsettled {
    pub open: Lines,
    /// Those beyond the bound, about which nothing is known.
    pub dropped: u64,
}

/// All that the checks judge.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub books: Books,
    pub accounts: AccountsAudit,
    pub transfers: TransfersAudit,
    pub difference: Difference,
    pub gaps: Vec<PairGap>,
    /// Names that more than one account has, with how many.
    pub twice: Vec<(String, i64)>,
    pub unsettled: Unsettled,
}

/// One check before its verdict.
struct Case {
    check: &'static str,
    wrong: Lines,
    /// What was looked at; nothing proves nothing.
    looked: u64,
    /// Why nothing can be said for certain, if so.
    doubt: Option<String>,
    /// What is proven if nothing is wrong.
    holds: String,
    /// What the wrong ones are.
    fails: &'static str,
}

impl Case {
    fn judged(self) -> CheckResult {
        let Self { check, wrong, looked, doubt, holds, fails } = self;
        let (verdict, summary) = match (wrong.total, doubt) {
            (0, Some(doubt)) => (Verdict::Inconclusive, format!("Nothing can be said: {doubt}.")),
            (0, None) if looked == 0 => (Verdict::Inconclusive, "Nothing was there to look at.".into()),
            (0, None) => (Verdict::Pass, holds),
            (n, Some(doubt)) => (Verdict::Inconclusive, format!("{n} {fails}, but {doubt}.")),
            (n, None) => (Verdict::Fail, format!("{n} {fails}.")),
        };
        CheckResult {
            check: check.into(),
            verdict: Some(verdict),
            summary,
            evidence: wrong.lines,
            evidence_total: wrong.total,
        }
    }
}

impl Evidence {
    /// Why nothing is certain, whatever it is about.
    fn lost(&self) -> Option<String> {
        let dropped = self.unsettled.dropped;
        (dropped > 0).then(|| format!("the end of {dropped} operations is unknown, and which they are"))
    }

    /// Why sums over everything are not certain.
    fn open(&self) -> Option<String> {
        let open = self.unsettled.open.total;
        self.lost().or_else(|| (open > 0).then(|| format!("the end of {open} operations is unknown")))
    }

    fn overflow(&self) -> Option<String> {
        let why = || "more accounts took part in transfers than the ledger can follow".to_owned();
        self.lost().or_else(|| self.books.overflow.then(why))
    }

    /// Why those that are left out are no proof.
    fn doubtful(n: u64, what: &str) -> Option<String> {
        (n > 0).then(|| format!("{n} {what} cannot be judged, because the end of operations about them is unknown"))
    }

    fn money(&self) -> Case {
        let Books { initial, taken, unknown, .. } = self.books;
        let (must, is) = (i128::from(initial) - i128::from(taken), self.accounts.sum);
        let mut wrong = Lines::default();
        if must != is {
            wrong.add(|| {
                format!(
                    "all accounts together hold {is}, {} too {}: {initial} as they were made less {taken} of deleted ones \
                     is {must}",
                    (must - is).abs(),
                    if is > must { "much" } else { "little" },
                )
            });
        }
        let why = || format!("nobody knows what {unknown} deleted accounts held");
        Case {
            check: "bank.money",
            wrong,
            looked: self.books.inserts,
            doubt: self.open().or_else(|| (unknown > 0).then(why)),
            holds: format!("All money is there: {is} in {} accounts.", self.accounts.rows),
            fails: "sum is wrong",
        }
    }

    fn balances(&self) -> Case {
        let mut wrong = self.accounts.unbalanced.clone();
        wrong.extend(&self.books.violations.of(&[Rule::Deletion, Rule::ReadBack]));
        let rows = self.accounts.rows;
        Case {
            check: "bank.balances",
            doubt: self
                .overflow()
                .or_else(|| Self::doubtful(self.accounts.doubtful, "balances").filter(|_| wrong.total == 0)),
            wrong,
            looked: rows,
            holds: format!(
                "Each of {rows} accounts holds what it began with, received and did not send, and each of {} deleted ones did.",
                self.books.deleted
            ),
            fails: "balances are not what the acknowledged transfers make them",
        }
    }

    fn funds(&self) -> Case {
        let mut wrong = self.accounts.negative.clone();
        wrong.extend(&self.books.violations.of(&[Rule::Funds]));
        Case {
            check: "bank.funds",
            wrong,
            looked: self.accounts.rows,
            doubt: None,
            holds: format!("No balance of {} is below zero.", self.accounts.rows),
            fails: "balances are below zero",
        }
    }

    fn orphans(&self) -> Case {
        Case {
            check: "bank.orphans",
            wrong: self.transfers.orphans.clone(),
            looked: self.books.transfers.max(self.transfers.rows),
            doubt: None,
            holds: format!("Both accounts of each of {} transfers exist.", self.transfers.rows),
            fails: "transfers are from or to accounts that do not exist",
        }
    }

    fn names(&self) -> Case {
        let mut wrong = Lines::default();
        for (name, n) in &self.twice {
            wrong.add(|| format!("the name {name} belongs to {n} accounts"));
        }
        wrong.extend(&self.accounts.strangers);
        wrong.extend(&self.accounts.altered);
        Case {
            check: "bank.names",
            wrong,
            looked: self.accounts.rows,
            doubt: None,
            holds: format!(
                "Each of {} accounts has a name of its own and the values that were written.",
                self.accounts.rows
            ),
            fails: "accounts have names or values that nobody wrote",
        }
    }

    fn accounts(&self) -> Case {
        let (mut wrong, doubtful) = self.difference.lines(self.accounts.told);
        wrong.extend(&self.accounts.strangers);
        let (expected, rows) = (self.difference.expected, self.accounts.rows);
        if !self.difference.complete {
            wrong.add(|| format!("{rows} accounts are there and {expected} must be; more differ than can be named"));
        }
        Case {
            check: "bank.accounts",
            doubt: self.lost().or_else(|| Self::doubtful(doubtful, "accounts").filter(|_| wrong.total == 0)),
            wrong,
            looked: self.books.inserts,
            holds: format!(
                "All {rows} accounts are there that must be: {} inserted, {} deleted.",
                self.books.inserted, self.books.deleted
            ),
            fails: "accounts are lost or phantoms",
        }
    }

    fn batches(&self) -> Case {
        let wrong = self.difference.batches(self.accounts.told);
        let named = self.difference.complete;
        Case {
            check: "bank.batches",
            doubt: self.lost().or_else(|| (!named).then(|| "more accounts differ than can be named".into())),
            wrong,
            looked: self.books.inserts,
            holds: format!("Each of {} batches is there as a whole, but for what was deleted.", self.books.inserts),
            fails: "batches are there in part",
        }
    }

    fn transfers(&self) -> Case {
        let mut wrong = self.transfers.altered.clone();
        for gap in self.gaps.iter().filter(|gap| !gap.doubtful) {
            wrong.add(|| gap.line(self.accounts.told));
        }
        let doubtful = self.gaps.iter().filter(|gap| gap.doubtful).count() as u64;
        Case {
            check: "bank.transfers",
            doubt: self.overflow().or_else(|| Self::doubtful(doubtful, "pairs").filter(|_| wrong.total == 0)),
            wrong,
            looked: self.books.transfers.max(self.transfers.rows),
            holds: format!(
                "{} transfers are there, as they were acknowledged between accounts that still exist.",
                self.transfers.rows
            ),
            fails: "transfers are lost, made up or altered",
        }
    }

    fn ids(&self) -> Case {
        Case {
            check: "bank.ids",
            wrong: self.books.violations.of(&[Rule::Ids]),
            looked: self.books.inserts,
            doubt: None,
            holds: format!("Ids only grew over {} inserts.", self.books.inserts),
            fails: "ids do not grow",
        }
    }

    fn reads(&self) -> Case {
        Case {
            check: "bank.reads",
            wrong: self.books.violations.of(&[Rule::Page, Rule::Value, Rule::Lookup, Rule::Transfers]),
            looked: self.books.looks,
            doubt: None,
            holds: format!("{} reads and checks saw what they must.", self.books.looks),
            fails: "reads saw what must not be",
        }
    }

    fn journal(&self) -> Case {
        let Books { inserts, transfers, deleted, looks, .. } = self.books;
        let total = inserts + transfers + deleted + looks;
        Case {
            check: "bank.journal",
            wrong: self.unsettled.open.clone(),
            looked: total,
            doubt: self.open().or_else(|| self.overflow()),
            holds: format!("The end of every operation is known; {total} of them happened."),
            fails: "operations could not be resolved",
        }
    }
}

/// Judges everything.
pub fn judge(evidence: &Evidence) -> Vec<CheckResult> {
    let cases = [
        evidence.money(),
        evidence.balances(),
        evidence.funds(),
        evidence.orphans(),
        evidence.names(),
        evidence.batches(),
        evidence.accounts(),
        evidence.transfers(),
        evidence.ids(),
        evidence.reads(),
        evidence.journal(),
    ];
    cases.into_iter().map(Case::judged).collect()
}
