//! Samples on their way to the state file: gathered for a while, then written in one commit, because a durable commit costs more
//! than a hundred samples.

use std::time::{Duration, Instant};

use crate::model::series::Moment;

/// How long samples wait at most.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Moments that are gathered at most, however fast they come.
const MOMENTS_MAX: usize = 120;

/// Samples that are not written yet.
#[derive(Debug)]
pub(super) struct Batch {
    moments: Vec<Moment>,
    since: Instant,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { moments: Vec::new(), since: Instant::now() }
    }

    /// Adds what was seen at one moment; returns everything when it is time to write.
    pub(super) fn add(&mut self, moment: Moment) -> Option<Vec<Moment>> {
        if self.moments.is_empty() {
            self.since = Instant::now();
        }
        self.moments.push(moment);
        (self.moments.len() >= MOMENTS_MAX || self.since.elapsed() >= WAIT_MAX).then(|| self.take())
    }

    /// Takes everything, however little it is.
    pub(super) fn take(&mut self) -> Vec<Moment> {
        std::mem::take(&mut self.moments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_wait_for_others_and_none_is_lost() {
        let mut batch = Batch::new();
        let moment = |at_ms| Moment { at_ms, values: vec![("a".into(), 1.0)] };
        for n in 0..MOMENTS_MAX as i64 - 1 {
            assert_eq!(batch.add(moment(n)), None);
        }
        let all = batch.add(moment(1000)).expect("enough of them");
        assert!(all.len() == MOMENTS_MAX && all.windows(2).all(|two| two[0].at_ms < two[1].at_ms));
        assert_eq!(batch.take(), []);
        assert_eq!(batch.add(moment(1)), None);
        assert_eq!(batch.take().len(), 1);
    }
}
