//! What to do next, by kind of finding. One short list each: what to look at first, and what would rule the cause out.

use crate::model::finding::{Finding, Kind, Side};

/// What helps with anything.
const OTHER: &[&str] = &[
    "Read the message and the log lines around the first sight; the JSON report has all findings.",
    "Run it again with the seed to see whether it comes back.",
];

/// Returns the next steps for what an incident is about.
pub(super) fn advice(finding: &Finding) -> &'static [&'static str] {
    let about = |word: &str| finding.message.contains(word);
    match (finding.kind, finding.side) {
        (Kind::Divergence, _) if about("health.steps") => &[
            "Steps that were planned were not counted: look in the log lines for a worker that ended or hung.",
            "Compare `steps` with `steps_planned` by cycle in the JSON report.",
        ],
        (Kind::Divergence, _) if about("health.") => &[
            "Look at the first cause below: errors that retries did not heal make this check fail.",
            "If such errors are expected on this target, name their kind in `verify.tolerate`.",
        ],
        (Kind::Divergence, _) => &[
            "Treat it as data loss until the opposite is shown. Keep the state directory and the server's log as they are.",
            "Take the first row of the evidence: search its key in the server's table and in the local databases, \
             and see who wrote it last.",
            "`lost`: acknowledged and gone; look at the send that carried it. `resurrected`: deleted and back; look at \
             tombstones. `stale`: one replica lags; look at its receive position.",
            "See whether an outage, a restart or a fault overlaps with the first sight, then run it again with the seed.",
        ],
        (Kind::Isolation, _) => &[
            "Treat it as a security incident: one user reached what belongs to another one, or a bad credential was accepted.",
            "Take the accepted operation from the evidence and check the row-level security policy for that verb.",
            "Check that the service verifies signature, expiry and audience of tokens, and runs as a role that policies bind.",
        ],
        (Kind::Regression, _) => &[
            "See what was deployed between the two versions below, and what they changed in the calls that got slower.",
            "`soakd compare BASELINE RUN` shows all metrics with their intervals; run it once more to see whether it stays.",
            "Look whether something else on the machine, or between it and the service, took its time.",
            "If it is wanted, make the new run the baseline: `soakd baseline set RUN`.",
        ],
        (Kind::Crash, Side::Server | Side::Network) => &[
            "Find the first cause in the server's log at the time of the first sight; its last lines are in the message.",
            "Look for the out-of-memory killer: `journalctl -k | grep -i oom`.",
            "Errors of clients that follow are joined to this incident; they are effects until the opposite is shown.",
        ],
        (Kind::Crash | Kind::Stuck, _) => &[
            "A worker of soakd ended or stood still: look at the last log lines of its databases below.",
            "Look for the out-of-memory killer (`journalctl -k | grep -i oom`) and at the memory chart.",
            "With the CloudSync extension loaded, a crash may be the extension's: keep the core file (`coredumpctl list`).",
        ],
        (Kind::DiskFull, _) => &[
            "Free space on the disk of the state directory: old runs, logs and local databases are the first to look at.",
            "soakd goes on by itself when there is room; nothing was judged while it was short.",
        ],
        (Kind::Criterion, Side::Soakd) => &[
            "A process of soakd itself does not keep to the criterion; the service under test is none the worse for it.",
            "See the report's section on criteria for the interval and the samples. Keep this mail: it shows when it began.",
        ],
        (Kind::Criterion, _) if about("grows") || about("rose by") => &[
            "See the report's section on criteria for the interval, the samples and the forecast.",
            "Compare when it began with deployments and versions of the server, and with what the workload did then.",
            "`soakd trend` shows the whole series; memory that stays after a restart of the load is a leak, not a cache.",
        ],
        (Kind::Criterion, _) => &[
            "See the report's section on criteria for the interval and the samples that it rests on.",
            "Compare when it began with deployments and versions of the server, and with other load on the machine.",
        ],
        (Kind::Other, Side::Soakd) if about("memory") => &[
            "See in the memory chart which part grows, and whether it grows with the cycles or at once.",
            "A restart (`systemctl restart soakd`) goes on with the run; keep this mail, it shows the slope.",
        ],
        (kind, _) => service(kind),
    }
}

/// Returns the next steps where the kind alone says what to look at: mostly about the service and the way to it.
fn service(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Auth | Kind::Denied => &[
            "Check the credential that the configuration refers to: expired, revoked, or of another project?",
            "Compare the clocks of this machine and of the service: tokens are refused when they differ.",
            "`soakd check -c CONFIG` tries the credentials without starting a run.",
        ],
        Kind::Locked | Kind::Busy => &[
            "See which process holds the database: `fuser` on the file in the state directory names it.",
            "Raise `timeouts.busy` if the machine is merely slow; a lock that lasts longer than a sync is a fault.",
        ],
        Kind::Deadlock | Kind::Serialization => &[
            "Transactions met in an order that the database could not resolve: list the kind in `expected` if that is in order.",
            "See the server's log at the time below: it names both transactions and their statements.",
        ],
        Kind::Conflict | Kind::InsufficientFunds | Kind::MissingAccount => &[
            "The workload meets these when its workers get in each other's way: list the kind in `expected` if that is in order.",
        ],
        Kind::RateLimited => {
            &["The service slows soakd down: fewer databases, a longer `run.pause`, or a higher limit at the service."]
        }
        Kind::Timeout => &[
            "See in the charts whether cycles grew slower before it, and look at the load of the service.",
            "Raise `timeouts.request` only if this duration is acceptable to users.",
        ],
        Kind::Refused | Kind::Reset | Kind::Resolve => &[
            "Check that the service is up and reachable from this machine: `soakd check -c CONFIG`.",
            "If outages are listed below, they are the cause; look at the service, its proxy and the name server.",
        ],
        Kind::Tls => &[
            "Check the certificate of the service: expired, another name, or an authority that this machine does not know?",
            "Check the clock of this machine.",
        ],
        Kind::SilentLoss | Kind::Apply => &[
            "The service answered with success although changes were not applied: look in its log at the time below.",
            "soakd sends them again; if rows are missing at the next check, an incident of its own says so.",
        ],
        Kind::Corrupt => &[
            "Copy the damaged database before anything else; then run `PRAGMA integrity_check` on the copy.",
            "Check the disk (`dmesg`, `smartctl`) and whether the machine lost power.",
        ],
        Kind::Constraint | Kind::Schema => &[
            "Compare the tables of the service with the local ones: column, type, key and NOT NULL must agree.",
            "`soakd check -c CONFIG` names the differences that it can see.",
        ],
        Kind::Config => &["Correct the setting that the message names; `soakd check -c CONFIG` says what is wrong."],
        Kind::Http4xx | Kind::Protocol => {
            &["The service refuses what soakd sends: compare the versions below, and see what was deployed last."]
        }
        Kind::Http5xx => &[
            "Find the request in the log of the service at the time below: an answer of 500 or more is its own error.",
            "See whether its database was down, full or out of connections.",
        ],
        Kind::Divergence | Kind::Isolation | Kind::Criterion | Kind::Regression => OTHER,
        Kind::Crash | Kind::Stuck | Kind::DiskFull | Kind::Other => OTHER,
    }
}
