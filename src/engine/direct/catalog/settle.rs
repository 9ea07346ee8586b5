//! Ends the operations of which nobody knows whether they happened, by looking at what stands in the database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ledger::{Begin, CatalogLedger, Done, left, writer};
use super::sql;
use crate::checker::catalog::{EVIDENCE_MAX, Row};
use crate::engine::direct::course::{Ground, Op};
use crate::model::finding::Kind;
use crate::model::lane::End;
use crate::target::sql::{Dialect, SqlError};
use crate::workload::catalog::dataset_name;

/// Time between two looks at what is under way in a server.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends what can be ended; returns what is still open.
pub(super) async fn settle(ground: &Ground<CatalogLedger>, dialect: Dialect) -> Result<Vec<String>, SqlError> {
    let mut unsettled = Vec::new();
    if dialect == Dialect::Postgres
        && let Some(active) = idle(ground).await?
    {
        unsettled.push(format!("{active} connections were still at work when the time for settling was over"));
    }
    let look = Done { settled: true, ..Done::default() };
    let mut open = Vec::new();
    let (all, dropped) = ground.journal.open_operations();
    for (op, begin) in all {
        match begin {
            Begin::Read(_) | Begin::Measure => ground.journal.end(op, End::Refused, &look),
            Begin::Write(..) => open.push((op, begin)),
        }
    }
    if dropped > 0 {
        unsettled.push(format!("{dropped} operations with an unknown end were too many to keep"));
    }
    let rows = rows(ground, &open).await?;
    // One that is ended may tell of others.
    loop {
        let mut left = Vec::new();
        for (op, begin) in &open {
            let end = ground.journal.with(|ledger| decide(ledger, (*op, begin), &open, &rows));
            match end {
                Some(end) => ground.journal.end(*op, end, &look),
                None => left.push((*op, begin.clone())),
            }
        }
        if left.len() == open.len() {
            break;
        }
        open = left;
    }
    unsettled.extend(open.iter().take(EVIDENCE_MAX).map(|(op, begin)| line(*op, begin)));
    Ok(unsettled)
}

/// Returns an open operation in words.
pub(super) fn line(op: Op, begin: &Begin) -> String {
    let who = format!("{}, operation {}", writer(op), op.no);
    match begin {
        Begin::Write(dataset, from, _) => {
            format!("{}: whether {who} replaced version {from} is not known", dataset_name(*dataset))
        }
        Begin::Read(_) | Begin::Measure => format!("the end of a read by {who} is not known"),
    }
}

/// Waits until a server does nothing more for this application; returns how many connections still do when it takes too long.
async fn idle(ground: &Ground<CatalogLedger>) -> Result<Option<u64>, SqlError> {
    let deadline = Instant::now() + ground.limit;
    loop {
        let active = {
            let mut lease = ground.pool.get(Instant::now() + ground.limit).await?;
            // One that is nobody's any more may look idle, and still have to read what an earlier life sent before its end.
            let (active, all) = (sql::connections(&mut lease, true).await?, sql::connections(&mut lease, false).await?);
            active.max((all + 1).saturating_sub(ground.pool.counts().open as u64))
        };
        if active == 0 {
            return Ok(None);
        }
        if Instant::now() + PAUSE >= deadline {
            return Ok(Some(active));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn rows(ground: &Ground<CatalogLedger>, open: &[(Op, Begin)]) -> Result<BTreeMap<u32, Row>, SqlError> {
    let mut rows = BTreeMap::new();
    for (_, begin) in open {
        let Begin::Write(dataset, ..) = begin else { continue };
        if !rows.contains_key(dataset) {
            let mut lease = ground.pool.get(Instant::now() + ground.limit).await?;
            match sql::read(&mut lease, *dataset).await {
                Ok(row) => drop(rows.insert(*dataset, row)),
                // What stands there says nothing of its writes; the checks name it.
                Err(error) if error.kind == Kind::Divergence => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(rows)
}

/// Returns how a write ended if that is certain even while others write: its own row, another's in its place, or what
/// replaced it.
pub(super) fn certain(ledger: &CatalogLedger, op: Op, begin: &Begin, row: &Row) -> Option<End> {
    let Begin::Write(dataset, from, before) = begin else { return Some(End::Refused) };
    let mine = left(op, *from, before);
    if row.state.version == mine.version {
        return Some(if row.state == mine { End::Acknowledged } else { End::Refused });
    }
    if row.state.version > mine.version
        && let Some(content) = ledger.content_of(*dataset, mine.version)
    {
        return Some(if content == mine.content { End::Acknowledged } else { End::Refused });
    }
    (row.state.version > mine.version && ledger.holds(*dataset, mine.version) == Some(true)).then_some(End::Refused)
}

/// Returns how a write ended when nothing is under way any more.
fn decide(
    ledger: &CatalogLedger,
    (op, begin): (Op, &Begin),
    open: &[(Op, Begin)],
    rows: &BTreeMap<u32, Row>,
) -> Option<End> {
    let Begin::Write(dataset, from, before) = begin else { return Some(End::Refused) };
    let row = rows.get(dataset)?;
    if row.state.version <= *from {
        return Some(End::Refused);
    }
    if let Some(end) = certain(ledger, op, begin, row) {
        return Some(end);
    }
    let mine = left(op, *from, before);
    // Another one that is open says what it found.
    let next = open.iter().find_map(|(_, other)| match other {
        Begin::Write(of, at, found) if (*of, *at) == (*dataset, mine.version) => Some(found),
        _ => None,
    });
    if let Some(found) = next {
        return Some(if *found == mine.content { End::Acknowledged } else { End::Refused });
    }
    let rivals =
        open.iter().filter(|(_, other)| matches!(other, Begin::Write(of, at, _) if (of, at) == (dataset, from)));
    (ledger.holds(*dataset, mine.version) == Some(false) && rivals.count() == 1).then_some(End::Acknowledged)
}
