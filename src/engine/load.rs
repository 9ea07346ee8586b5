//! The load phase: every database takes the planned steps of a cycle, at its own pace or in lockstep.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail};
use rand::seq::SliceRandom;
use tokio::task::JoinSet;

use super::crew::{Crew, CrewError};
use super::cycle::{Stage, of_database};
use super::ledger::Ledger;
use super::setup::Role;
use super::worker::protocol::{Command, Reply};
use crate::model::ids::DbNo;
use crate::workload::sync::branch;

impl Stage {
    /// Takes all steps of all databases; false when it was stopped before the end. A pause lasts between two steps.
    pub(super) async fn load(&self, cycle: u64) -> anyhow::Result<bool> {
        while self.control.free().await {
            let loading = async {
                if self.setup.lockstep() {
                    self.load_lockstep(cycle).await
                } else {
                    self.load_concurrently(cycle).await
                }
            };
            let mut loading = std::pin::pin!(loading);
            // A load that saw the pause itself may end before it is told: that is no end of the cycle.
            let done = tokio::select! {
                done = &mut loading => done?,
                () = self.control.stop.cancelled() => {
                    self.crew.stop_loading().await;
                    loading.await?
                }
                () = self.control.held() => {
                    self.crew.stop_loading().await;
                    loading.await?
                }
            };
            let over = done && !self.control.stop.is_cancelled();
            // Workers that were told to stop make no retries, and the phases to come need them, also where the load had just
            // ended by itself.
            if over || self.control.free().await {
                self.crew.go_on_loading().await;
            }
            if over {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn load_concurrently(&self, cycle: u64) -> anyhow::Result<bool> {
        let mut loading = JoinSet::new();
        for db in self.crew.databases(|role| role == Role::Load) {
            let (crew, ledger) = (Arc::clone(&self.crew), Arc::clone(&self.ledger));
            loading.spawn(async move { load_to(&crew, &ledger, db, cycle, u32::MAX).await });
        }
        let mut done = true;
        while let Some(joined) = loading.join_next().await {
            done &= joined.context("a load task ended")??;
        }
        Ok(done)
    }

    /// Takes one step at a time: in every round each database takes its next step, in an order drawn from the seed.
    async fn load_lockstep(&self, cycle: u64) -> anyhow::Result<bool> {
        let lengths: BTreeMap<DbNo, u32> = self
            .crew
            .databases(|role| role == Role::Load)
            .into_iter()
            .map(|db| (db, self.plan.steps(cycle, db).len() as u32))
            .collect();
        let rounds = lengths.values().copied().max().unwrap_or(0);
        for round in 1..=rounds {
            let mut order: Vec<DbNo> = lengths.iter().filter(|(_, len)| **len >= round).map(|(db, _)| *db).collect();
            order.shuffle(&mut branch(self.plan.seed, cycle, 0, round));
            for db in order {
                if self.control.stop.is_cancelled()
                    || self.control.is_held()
                    || !load_to(&self.crew, &self.ledger, db, cycle, round).await?
                {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Lets a database take its steps up to a number; false when it was stopped before.
async fn load_to(crew: &Crew, ledger: &Ledger, db: DbNo, cycle: u64, upto: u32) -> anyhow::Result<bool> {
    match crew.ask(db, Command::Load { cycle, upto }).await {
        Ok(Reply::Loaded { stopped, crash }) => {
            crew.put_crash(crash);
            Ok(!stopped)
        }
        Ok(other) => bail!("database {db} answered {other:?} to a load"),
        Err(CrewError::Failed(error)) => {
            // The steps that are missing now fail the cycle by themselves.
            let mut failed = of_database(cycle, "load", db, (error.side, error.kind), &error.message);
            failed.code = error.code;
            ledger.record_findings(vec![failed])?;
            Ok(true)
        }
        // That it is down was written down; its missing steps fail the cycle.
        Err(CrewError::Down(_)) => Ok(true),
        Err(CrewError::Lost(error)) => Err(error),
    }
}
