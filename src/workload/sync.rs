//! Plans the sync workload: the steps of one database in one cycle, the same for the same seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::ids::{DbNo, RowClass, user_of};
use crate::model::step::{Action, Step};

/// What an iteration does, with its figures.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// Delete all, insert, update all; a send and a receive after each.
    Classic,
    /// Many updates and a few deletes of random rows before one send and two receives.
    Incremental { updates: u32, deletes: u32, delete_rows: u32, wait_ms: u64 },
    /// All databases of a user write the same rows, some of them offline for a while.
    Contended { per_mille: u32, offline_per_mille: u32 },
    /// Another workload, of which only the number of steps is known here.
    Direct { steps: u32 },
}

/// The whole plan of a run, from which every step follows.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub seed: u64,
    pub shape: Shape,
    pub rows: u32,
    pub iterations: u32,
    pub databases: u32,
}

/// A branch of the seed tree: every random choice hangs below run, cycle, database and step.
pub fn branch(seed: u64, cycle: u64, db: DbNo, step: u32) -> ChaCha8Rng {
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&cycle.to_le_bytes());
    bytes[16..20].copy_from_slice(&db.to_le_bytes());
    bytes[20..24].copy_from_slice(&step.to_le_bytes());
    ChaCha8Rng::from_seed(bytes)
}

impl Plan {
    /// Returns the steps of database `db` in `cycle`, numbered from 1.
    pub fn steps(&self, cycle: u64, db: DbNo) -> Vec<Step> {
        let mut out = Steps(Vec::new());
        match self.shape {
            Shape::Classic => self.classic(&mut out),
            Shape::Incremental { updates, deletes, delete_rows, wait_ms } => {
                out.push(1, Action::Fill { rows: self.rows }, u64::from(self.rows));
                out.exchange(1);
                for iter in 1..=self.iterations {
                    for _ in 0..updates {
                        out.push(iter, Action::UpdateAll, u64::from(self.rows));
                    }
                    for _ in 0..deletes {
                        out.push(iter, Action::DeleteRandom { count: delete_rows }, 1);
                    }
                    out.exchange(iter);
                    out.push(iter, Action::Wait { ms: wait_ms }, 0);
                    out.push(iter, Action::Receive, 0);
                }
            }
            Shape::Contended { per_mille, offline_per_mille } => {
                self.contended(&mut out, cycle, db, per_mille, offline_per_mille);
            }
            // Its workers plan for themselves.
            Shape::Direct { .. } => {}
        }
        out.0
    }

    /// Returns how many steps a database takes in one cycle.
    pub fn count(&self, cycle: u64, db: DbNo) -> u64 {
        match self.shape {
            Shape::Direct { steps } => u64::from(steps),
            _ => self.steps(cycle, db).len() as u64,
        }
    }

    /// Returns how many steps all databases take in one cycle.
    pub fn steps_per_cycle(&self, cycle: u64) -> u64 {
        (1..=self.databases).map(|db| self.count(cycle, db)).sum()
    }

    /// Returns the class of the rows that `db` fills or shares: its own, or the one of its user's first database.
    pub fn fill_class(&self, db: DbNo) -> RowClass {
        let owner = match self.shape {
            Shape::Contended { .. } => {
                let user = user_of(db, self.databases);
                (1..=db).find(|d| user_of(*d, self.databases) == user).unwrap_or(db)
            }
            _ => db,
        };
        RowClass { db: owner, iter: 1 }
    }

    fn classic(&self, out: &mut Steps) {
        for iter in 1..=self.iterations {
            out.push(iter, Action::DeleteAll, 1);
            out.exchange(iter);
            out.push(iter, Action::Insert { rows: self.rows }, u64::from(self.rows));
            out.exchange(iter);
            out.push(iter, Action::UpdateAll, u64::from(self.rows));
            out.exchange(iter);
        }
    }

    fn contended(&self, out: &mut Steps, cycle: u64, db: DbNo, per_mille: u32, offline_per_mille: u32) {
        let mut rng = branch(self.seed, cycle, db, 0);
        let mut offline_left = 0u32;
        for iter in 1..=self.iterations {
            let ops = u64::from(self.rows) * u64::from(per_mille) / 1000;
            out.push(iter, Action::Contend { per_mille }, ops.max(1));
            if offline_left == 0 && rng.random_range(0..1000) < offline_per_mille {
                offline_left = rng.random_range(1..=3);
            }
            if offline_left > 0 && iter < self.iterations {
                offline_left -= 1;
                continue;
            }
            offline_left = 0;
            out.exchange(iter);
        }
    }
}

/// Steps under construction.
struct Steps(Vec<Step>);

impl Steps {
    fn push(&mut self, iter: u32, action: Action, crud_ops: u64) {
        self.0.push(Step { no: self.0.len() as u32 + 1, iter, action, crud_ops });
    }

    fn exchange(&mut self, iter: u32) {
        self.push(iter, Action::Send, 0);
        self.push(iter, Action::Receive, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(shape: Shape) -> Plan {
        Plan { seed: 7, shape, rows: 1000, iterations: 5, databases: 4 }
    }

    #[test]
    fn classic_counts_what_the_hand_made_test_counted() {
        let plan = plan(Shape::Classic);
        let steps = plan.steps(1, 1);
        assert_eq!(steps.len(), 5 * 9);
        assert_eq!(steps.iter().filter(|s| s.action.is_sync()).count(), 5 * 6);
        assert_eq!(steps.iter().map(|s| s.crud_ops).sum::<u64>(), 5 * (1 + 1000 + 1000));
        assert_eq!(plan.steps_per_cycle(1), 4 * 45);
        assert!(steps.iter().enumerate().all(|(i, s)| s.no == i as u32 + 1));
    }

    #[test]
    fn contended_databases_are_online_at_the_end_and_share_rows() {
        let plan = plan(Shape::Contended { per_mille: 200, offline_per_mille: 400 });
        for db in 1..=4 {
            let steps = plan.steps(3, db);
            assert_eq!(steps.last().map(|s| s.action), Some(Action::Receive));

            assert_eq!(steps, plan.steps(3, db), "a plan is a function of its seed");
        }
        assert_eq!([1, 2, 3, 4].map(|db| plan.fill_class(db).db), [1, 1, 3, 3]);
        let shapes: std::collections::BTreeSet<usize> = (1..=20).map(|cycle| plan.steps(cycle, 1).len()).collect();
        assert!(shapes.len() > 1, "offline times differ between cycles");
    }

    #[test]
    fn incremental_sends_once_and_receives_twice() {
        let plan = plan(Shape::Incremental { updates: 5, deletes: 2, delete_rows: 10, wait_ms: 1 });
        let steps = plan.steps(1, 2);
        assert_eq!(steps.len(), 3 + 5 * (5 + 2 + 4));
        assert_eq!(plan.fill_class(2), RowClass { db: 2, iter: 1 });
    }
}
