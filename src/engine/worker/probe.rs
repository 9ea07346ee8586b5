//! What isolation probes ask of a database: write rows as they are, look at what arrived, try another credential.

use super::database::{Database, Failed, credential_of, ended_well, local};
use super::protocol::{Refused, Reply, Secret};
use super::scan;
use super::sync_step;
use super::write_step::Writer;
use crate::model::finding::cut;
use crate::model::value::{Cell, Value};

/// Rows that one inspection returns.
const ROWS_MAX: usize = 20_000;

/// Writes rows as they are given and sends them; what the server says of them is the reply, not an error.
pub fn write(
    database: &mut Database,
    upsert: &[Vec<Value>],
    delete: &[String],
    patient: bool,
) -> Result<Reply, Failed> {
    let spec = database.spec.clone();
    let plan = database.shared.plan;
    let writer = Writer { table: &spec.session.table, plan: &plan, owner: &spec.owner, db: spec.db, cycle: 0 };
    let session = database.session()?;
    let tx = session.conn_mut().transaction().map_err(local)?;
    writer.write_raw(&tx, upsert, delete).map_err(local)?;
    tx.commit().map_err(local)?;
    if patient {
        let sent = database.with_caller(0, "verify", None, 0, sync_step::send)?;
        ended_well(&sent)?;
        return Ok(Reply::Written { refused: sent.refused, error: None });
    }
    Ok(match session.send() {
        Ok(report) => Reply::Written {
            refused: report
                .refused
                .into_iter()
                .map(|r| Refused { key: r.key, verb: r.verb, reason: r.reason })
                .collect(),
            error: report.last_failure,
        },
        Err(error) => Reply::Written { refused: Vec::new(), error: Some(error.classified) },
    })
}

/// Returns the probe rows and the foreign rows that are here, after a receive if so asked.
pub fn inspect(database: &mut Database, receive: bool) -> Result<Reply, Failed> {
    let table = database.spec.session.table.clone();
    let owner = database.owner_checked();
    if receive {
        let received = database.with_caller(0, "verify", None, 0, sync_step::receive)?;
        ended_well(&received)?;
    }
    let session = database.session()?;
    let foreign = |cells: &[Cell<'_>]| owner.as_deref().is_some_and(|owner| cells[table.owner] != Cell::Text(owner));
    let wanted = |cells: &[Cell<'_>]| scan::is_probe(&table, cells) || foreign(cells);
    let (rows, _) = scan::rows(session.conn(), &table, ROWS_MAX, wanted).map_err(local)?;
    let (_, foreign_total) = scan::rows(session.conn(), &table, 0, foreign).map_err(local)?;
    Ok(Reply::Inspected { rows, foreign_total })
}

/// Tries one receive with another credential.
pub fn trial(database: &mut Database, credential: &Secret) -> Result<Reply, Failed> {
    let session = database.session()?;
    if let Err(error) = session.set_credential(&credential_of(credential)) {
        return Ok(Reply::Trial { accepted: false, rows: 0, error: Some(error.classified) });
    }
    Ok(match session.receive() {
        Ok(report) => Reply::Trial { accepted: true, rows: report.rows, error: None },
        Err(error) => {
            let mut classified = error.classified;
            classified.message = cut(&classified.message);
            Reply::Trial { accepted: false, rows: 0, error: Some(classified) }
        }
    })
}
