//! Choosing the baseline: which runs are fit for it, whoever writes it down.

use crate::model::verdict::Verdict;
use crate::store::{Store, StoreError};

/// Makes a run the baseline, or clears it; the answer is a sentence for people.
pub fn choose_baseline(store: &mut Store, wanted: Option<&str>) -> Result<String, String> {
    let words = |error: StoreError| error.to_string();
    let Some(wanted) = wanted else {
        let before = store.baseline().map_err(words)?;
        store.set_baseline(None).map_err(words)?;
        return Ok(match before {
            Some(run) => format!("run {run} is not the baseline any more; later runs are not compared"),
            None => "there was no baseline".into(),
        });
    };
    let snapshot = store.snapshot(wanted).map_err(words)?;
    let snapshot = snapshot.ok_or_else(|| format!("there is no run {wanted}; `soakd runs` lists those that are"))?;
    let run = &snapshot.run;
    if run.ended_ms.is_none() {
        return Err(format!("run {wanted} has not ended; only a run that has ended can be a baseline"));
    }
    if snapshot.cycles_done == 0 || store.measures(wanted).map_err(words)?.is_empty() {
        return Err(format!("nothing was measured in run {wanted}, so that nothing could be compared with it"));
    }
    store.set_baseline(Some(wanted)).map_err(words)?;
    let doubt = match run.verdict {
        Some(Verdict::Pass) => "",
        Some(Verdict::Fail) => {
            "; it failed its checks: make sure that its figures are what later ones are to be held to"
        }
        _ => "; it did not pass: make sure that its figures are what later ones are to be held to",
    };
    Ok(format!("later runs are compared with run {wanted} ({}){doubt}", run.name))
}
