//! `[workload.sync]`: scale, mode, table.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::Span;

/// The sync workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncConfig {
    pub scale: Scale,
    /// With `scale = "custom"`: rows, iterations and databases.
    pub rows: Option<u32>,
    pub iterations: Option<u32>,
    pub databases: Option<u32>,
    pub mode: Mode,
    pub pace: Pace,
    /// Steps per second and database; each as soon as the one before is done where nothing is said.
    pub rate: Option<f64>,
    /// Row-level security: a token per user instead of one key for all.
    pub rls: bool,
    /// `incremental`: updates and deletes per iteration, and rows per delete.
    pub updates: u32,
    pub deletes: u32,
    pub delete_rows: u32,
    /// `incremental`: wait before the second receive.
    pub wait: Span,
    /// `contended`: share of the shared rows that one iteration writes.
    pub contention: f64,
    /// `contended`: share of iterations that a database spends offline.
    pub offline: f64,
    pub table: TableConfig,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            scale: Scale::Small,
            rows: None,
            iterations: None,
            databases: None,
            mode: Mode::Classic,
            pace: Pace::Concurrent,
            rate: None,
            rls: true,
            updates: 5,
            deletes: 2,
            delete_rows: 10,
            wait: Span::from_secs(1),
            contention: 0.2,
            offline: 0.25,
            table: TableConfig::default(),
        }
    }
}

impl SyncConfig {
    /// Returns rows, iterations and databases of the scale; a custom scale falls back to the small one's figures.
    pub fn size(&self) -> (u32, u32, u32) {
        let (rows, iterations, databases) = match self.scale {
            Scale::Small | Scale::Custom => (1_000, 5, 2),
            Scale::Medium => (10_000, 10, 4),
            Scale::Large => (100_000, 50, 4),
        };
        (self.rows.unwrap_or(rows), self.iterations.unwrap_or(iterations), self.databases.unwrap_or(databases))
    }
}

/// The sizes of the hand-made test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    Small,
    Medium,
    Large,
    Custom,
}

/// What an iteration does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Classic,
    Incremental,
    Contended,
}

/// How databases move through their steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Every database as fast as it can.
    Concurrent,
    /// One step at a time, in an order drawn from the seed: a run with the same seed writes the same rows.
    Lockstep,
}

/// `[workload.sync.table]`: the table to sync; the seed's when nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// One `CREATE TABLE` statement …
    pub ddl: Option<String>,
    /// … or a file that holds it.
    pub ddl_file: Option<PathBuf>,
    /// Column that names the owner of a row.
    pub owner: Option<String>,
    /// Text column that soakd stamps with the write that made the content.
    pub stamp: Option<String>,
    /// Integer column that every update increments.
    pub counter: Option<String>,
}
