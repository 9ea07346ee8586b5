//! Rows that must not be as they are, in the form in which evidence keeps them.

use serde::{Deserialize, Serialize};

use crate::model::schema::TableSpec;
use crate::model::value::Cell;

/// A row whose content cannot be what soakd wrote under that key, or that belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrangeRow {
    pub key: String,
    pub owner: String,
    pub stamp: String,
    pub counter: Option<i64>,
    /// True if the row belongs to another user.
    pub foreign: bool,
}

impl StrangeRow {
    /// Copies what evidence needs of a row, cut to a bounded length.
    pub fn from_cells(table: &TableSpec, cells: &[Cell<'_>], foreign: bool) -> Self {
        let text = |i: usize| match cells[i] {
            Cell::Text(text) => text.chars().take(100).collect(),
            other => other.to_value().to_string(),
        };
        let counter = match cells[table.counter] {
            Cell::Int(n) => Some(n),
            _ => None,
        };
        Self { key: text(table.key), owner: text(table.owner), stamp: text(table.stamp), counter, foreign }
    }
}
