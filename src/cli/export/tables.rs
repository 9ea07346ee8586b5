//! The tables of an export about what happened: the run, its cycles and their checks, its lives, and what went wrong.

use super::figures::{CRITERIA, LATENCY, MEASURES, SERIES};
use super::table::Kind::{Boolean, Integer, Text, Time};
use super::table::{Cell, Column, Of, Shape, Table, column, maybe};
use crate::model::incident::Incident;
use crate::model::record::{CycleRecord, EpochRecord, FindingGroup, Outage, Snapshot};
use crate::model::verdict::CheckResult;

/// A row of a run, and the run.
pub(super) struct In<T> {
    pub(super) run: String,
    pub(super) row: T,
}

/// Makes the first column of every table.
pub(super) const fn of_run<T>() -> Of<In<T>> {
    column("run", Text, "Id of the run.", |of| (&of.run).into())
}

pub(super) const RUNS: Table<Snapshot> = Table {
    name: "runs",
    doc: "The run, in one row.",
    columns: &[
        column("run", Text, "Id of the run.", |s| (&s.run.run).into()),
        column("name", Text, "Its name, `run.name`.", |s| (&s.run.name).into()),
        maybe("schedule", Text, "The schedule that began it.", |s| s.run.schedule.as_ref().into()),
        column("seed", Text, "Its seed; a text, because it may be larger than the integers of some programs.", |s| {
            Cell::Text(s.run.seed.to_string())
        }),
        column("started_ms", Time, "When it began.", |s| s.run.started_ms.into()),
        maybe("ended_ms", Time, "When it ended; none while it lasts.", |s| s.run.ended_ms.into()),
        maybe("ended_because", Text, "Why it ended.", |s| s.run.ended_because.as_ref().into()),
        column("as_of_ms", Time, "What the row is of: the end, or the moment of the export while it lasts.", |s| {
            s.made_ms.into()
        }),
        column("observed_ms", Integer, "Milliseconds in which the daemon was up.", |s| s.run.observed_ms.into()),
        maybe("verdict", Text, "`pass`, `inconclusive`, `aborted` or `fail`; none while it lasts.", |s| {
            s.run.verdict.map_or(Cell::Null, Cell::word)
        }),
        column("cycles", Integer, "Closed cycles.", |s| s.cycles_done.into()),
        column("target", Text, "What was driven.", |s| (&s.run.scale.target).into()),
        column("provider", Text, "What synchronised.", |s| (&s.run.scale.provider).into()),
        column("scale", Text, "Name of the scale.", |s| (&s.run.scale.scale).into()),
        column("mode", Text, "Mode of the workload.", |s| (&s.run.scale.mode).into()),
        column("rls", Boolean, "Whether row-level security was on.", |s| s.run.scale.rls.into()),
        column("rows_per_iteration", Integer, "Rows of one iteration.", |s| s.run.scale.rows.into()),
        column("iterations", Integer, "Iterations of one cycle.", |s| s.run.scale.iterations.into()),
        column("databases", Integer, "Databases that wrote.", |s| s.run.scale.databases.into()),
        column("users", Integer, "Users that they belong to.", |s| s.run.scale.users.into()),
        column("soakd", Text, "Version of soakd.", |s| (&s.run.versions.soakd).into()),
        column("sqlite", Text, "Version of SQLite.", |s| (&s.run.versions.sqlite).into()),
        column("provider_version", Text, "Name and version of the provider.", |s| (&s.run.versions.provider).into()),
        column("server", Text, "What the target said of its version.", |s| (&s.run.versions.server).into()),
        column("steps", Integer, "Steps that were counted.", |s| s.totals.steps.into()),
        column("steps_failed", Integer, "Of those, failed.", |s| s.totals.steps_failed.into()),
        column("steps_indeterminate", Integer, "Of those, with an unknown outcome.", |s| {
            s.totals.steps_indeterminate.into()
        }),
        column("steps_refused", Integer, "Of those, refused.", |s| s.totals.steps_refused.into()),
        column("crud_ops", Integer, "Writes of single rows.", |s| s.totals.crud_ops.into()),
        column("sync_ops", Integer, "Calls that sent or received.", |s| s.totals.sync_ops.into()),
        column("rows_inserted", Integer, "Rows inserted.", |s| s.totals.rows_inserted.into()),
        column("rows_updated", Integer, "Rows updated.", |s| s.totals.rows_updated.into()),
        column("rows_deleted", Integer, "Rows deleted.", |s| s.totals.rows_deleted.into()),
        column("changes_sent", Integer, "Changes sent.", |s| s.totals.changes_sent.into()),
        column("changes_received", Integer, "Changes received.", |s| s.totals.changes_received.into()),
        column("bytes", Integer, "Bytes moved.", |s| s.totals.bytes.into()),
        column("retries", Integer, "Attempts after the first one.", |s| s.totals.retries.into()),
        column("errors", Integer, "Errors, tolerated ones too.", |s| s.totals.errors.into()),
        column("criteria", Text, "SHA-256 of the criteria, fixed before the run; empty if it has none.", |s| {
            (&s.run.criteria).into()
        }),
        column("receipt", Text, "Digest of the last line of its receipt; empty for a run of an older soakd.", |s| {
            (&s.receipt).into()
        }),
        column("configuration", Text, "The whole configuration as JSON, key by key, secrets as references.", |s| {
            Cell::json(&s.run.config)
        }),
    ],
};

pub(super) const CYCLES: Table<In<CycleRecord>> = Table {
    name: "cycles",
    doc: "The closed cycles, one in each row.",
    columns: &[
        of_run(),
        column("cycle", Integer, "Its number, from 1.", |c| c.row.cycle.into()),
        column("started_ms", Time, "When its load began.", |c| c.row.started_ms.into()),
        column("ended_ms", Time, "When it was closed.", |c| c.row.ended_ms.into()),
        column("load_ms", Integer, "Milliseconds of load.", |c| c.row.load_ms.into()),
        column("settle_ms", Integer, "Milliseconds until nothing moved.", |c| c.row.settle_ms.into()),
        column("verify_ms", Integer, "Milliseconds of verification.", |c| c.row.verify_ms.into()),
        column("checkpoint_us", Integer, "Microseconds of its durable commits.", |c| c.row.checkpoint_us.into()),
        column("settle_rounds", Integer, "Rounds of sending and receiving until nothing moved.", |c| {
            c.row.settle_rounds.into()
        }),
        column("steps", Integer, "Steps that were counted.", |c| c.row.steps.into()),
        column("steps_planned", Integer, "Steps that were planned.", |c| c.row.steps_planned.into()),
        column("errors", Integer, "Errors, tolerated ones too.", |c| c.row.errors.into()),
        column("rows_final", Integer, "Rows at its end, over all databases.", |c| c.row.rows_final.into()),
        column("content", Text, "Short digest of all content at its end.", |c| (&c.row.content).into()),
        column("epoch", Integer, "The daemon's life that closed it; see `epochs`.", |c| c.row.epoch.into()),
        column("server", Text, "What the target said of its version; empty if nothing.", |c| (&c.row.server).into()),
        column("verdict", Text, "`pass`, `inconclusive`, `aborted` or `fail`.", |c| Cell::word(c.row.verdict)),
        column("checks_digest", Text, "Digest over all its checks when it was closed; empty as `digest` is.", |c| {
            (&c.row.checks_digest).into()
        }),
        column("previous", Text, "Digest of the cycle before; of the first one, of the run.", |c| {
            (&c.row.previous).into()
        }),
        column("digest", Text, "Its digest, with `previous` in it; empty in a run of an older soakd.", |c| {
            (&c.row.digest).into()
        }),
    ],
};

/// One check of a cycle.
pub(super) struct Checked {
    pub(super) cycle: u64,
    pub(super) check: CheckResult,
}

pub(super) const CHECKS: Table<In<Checked>> = Table {
    name: "checks",
    doc: "What the checks of each cycle came to. Of the 500 newest cycles and of the first 100 that did not pass there is all; of \
          older ones the first three that did not pass, shortened and without evidence.",
    columns: &[
        of_run(),
        column("cycle", Integer, "The cycle.", |c| c.row.cycle.into()),
        column("name", Text, "Name of the check.", |c| (&c.row.check.check).into()),
        maybe("verdict", Text, "Its verdict; none if it was not exercised, which is no pass.", |c| {
            c.row.check.verdict.map_or(Cell::Null, Cell::word)
        }),
        column("summary", Text, "What was proven, what failed, or why nothing could be said.", |c| {
            (&c.row.check.summary).into()
        }),
        column("evidence_total", Integer, "Pieces of evidence that there were.", |c| c.row.check.evidence_total.into()),
        column("evidence", Text, "Those that are kept, as a JSON list.", |c| Cell::json(&c.row.check.evidence)),
    ],
};

pub(super) const FINDINGS: Table<In<FindingGroup>> = Table {
    name: "findings",
    doc: "Errors, one cause in each row, with what was seen first.",
    columns: &[
        of_run(),
        column("cause", Text, "What errors of this cause have in common.", |f| (&f.row.cause).into()),
        column("errors", Integer, "How many there were.", |f| f.row.count.into()),
        column("tolerated", Integer, "Of those, healed by trying again.", |f| f.row.tolerated.into()),
        column("first_ms", Time, "When the first one was seen.", |f| f.row.first.at_ms.into()),
        column("last_ms", Time, "When the last one was seen.", |f| f.row.last_ms.into()),
        column("cycle", Integer, "Cycle of the first one.", |f| f.row.first.cycle.into()),
        column("phase", Text, "Phase of the cycle.", |f| (&f.row.first.phase).into()),
        maybe("db", Integer, "Database of the first one.", |f| f.row.first.db.into()),
        maybe("owner", Integer, "User of the first one.", |f| f.row.first.user.into()),
        maybe("iteration", Integer, "Iteration of the first one.", |f| f.row.first.iter.into()),
        maybe("step", Integer, "Step of the first one.", |f| f.row.first.step.into()),
        column("side", Text, "`client`, `server`, `network` or `soakd`.", |f| Cell::word(f.row.first.side)),
        column("kind", Text, "What kind of error it is.", |f| Cell::word(f.row.first.kind)),
        maybe("code", Text, "Code of the first one.", |f| f.row.first.code.as_ref().into()),
        column("message", Text, "Message of the first one.", |f| (&f.row.first.message).into()),
        column("by_db", Text, "Errors by database as a JSON map.", |f| Cell::json(&f.row.by_db)),
        column("timeline_from_ms", Time, "Where the time line begins.", |f| f.row.timeline_from_ms.into()),
        column("timeline_slot_ms", Integer, "Milliseconds of a slot.", |f| f.row.timeline_slot_ms.into()),
        column("timeline", Text, "Errors in each slot as a JSON list.", |f| Cell::json(&f.row.timeline)),
    ],
};

pub(super) const OUTAGES: Table<In<Outage>> = Table {
    name: "outages",
    doc: "When the target did not answer: the last 500 times.",
    columns: &[
        of_run(),
        column("from_ms", Time, "When it stopped answering.", |o| o.row.from_ms.into()),
        maybe("until_ms", Time, "When it answered again; none while it does not.", |o| o.row.until_ms.into()),
        column("reason", Text, "What was heard instead of an answer.", |o| (&o.row.reason).into()),
    ],
};

pub(super) const EPOCHS: Table<In<EpochRecord>> = Table {
    name: "epochs",
    doc: "The lives of the daemon in the run; the time between two was not observed.",
    columns: &[
        of_run(),
        column("epoch", Integer, "Its number, from 1.", |e| e.row.epoch.into()),
        column("pid", Integer, "Id of its process.", |e| e.row.pid.into()),
        column("started_ms", Time, "When it began.", |e| e.row.started_ms.into()),
        column("last_ms", Time, "Its last sign of life.", |e| e.row.last_ms.into()),
        column("cycle", Integer, "Cycle that it began in.", |e| e.row.cycle.into()),
        column("phase", Text, "Phase that it began in.", |e| Cell::word(e.row.phase)),
        column("clean_end", Boolean, "Whether it ended in good order.", |e| e.row.clean_end.into()),
        column("steps_recovered", Integer, "Steps found done that were not counted yet.", |e| {
            e.row.steps_recovered.into()
        }),
    ],
};

pub(super) const INCIDENTS: Table<Incident> = Table {
    name: "incidents",
    doc: "Incidents that were last seen in the run, the newest first.",
    columns: &[
        column("run", Text, "Id of the run.", |i| (&i.run).into()),
        column("incident", Integer, "Its number.", |i| i.id.into()),
        column("title", Text, "The first cause, in words.", |i| (&i.title).into()),
        column("cause", Text, "The cause that the title stands for.", |i| (&i.cause).into()),
        column("causes", Text, "All causes that were joined, with their counts, as a JSON map.", |i| {
            Cell::json(&i.causes)
        }),
        column("severity", Text, "`warning` or `failure`.", |i| Cell::word(i.severity)),
        column("state", Text, "`open` or `resolved`.", |i| Cell::word(i.state)),
        column("opened_ms", Time, "When it was opened for the first time.", |i| i.opened_ms.into()),
        column("last_ms", Time, "When it was last seen.", |i| i.last_ms.into()),
        maybe("resolved_ms", Time, "When it was resolved.", |i| i.resolved_ms.into()),
        column("findings", Integer, "Findings that belong to it.", |i| i.count.into()),
        column("cycle_first", Integer, "Cycle in which it was first seen.", |i| i.cycle_first.into()),
        column("cycle_last", Integer, "Cycle in which it was last seen.", |i| i.cycle_last.into()),
        column("clean_cycles", Integer, "Cycles without it since then.", |i| i.clean_cycles.into()),
        column("evidence", Text, "Lines that name rows, users and databases, as a JSON list.", |i| {
            Cell::json(&i.evidence)
        }),
        column("history", Text, "What happened to it, as a JSON list.", |i| Cell::json(&i.history)),
    ],
};

/// A column of a table, as a row.
pub(super) struct Described {
    pub(super) table: &'static str,
    pub(super) column: Column,
}

pub(super) const COLUMNS: Table<Described> = Table {
    name: "columns",
    doc: "What the columns of all tables are, as it stands here.",
    columns: &[
        column("in_table", Text, "Name of the table.", |d| d.table.into()),
        column("name", Text, "Name of the column.", |d| d.column.name.into()),
        column("type", Text, "`integer`, `time`, `real`, `text` or `boolean`.", |d| d.column.kind.word().into()),
        column("may_be_none", Boolean, "Whether there may be no value.", |d| d.column.may_be_null.into()),
        column("doc", Text, "What it is.", |d| d.column.doc.into()),
    ],
};

/// Returns all tables, in the order in which they are written.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        RUNS.shape(),
        CYCLES.shape(),
        CHECKS.shape(),
        FINDINGS.shape(),
        OUTAGES.shape(),
        EPOCHS.shape(),
        MEASURES.shape(),
        SERIES.shape(),
        CRITERIA.shape(),
        LATENCY.shape(),
        INCIDENTS.shape(),
        COLUMNS.shape(),
    ]
}
