//! The server's content: digests and rows, in one request where the target has admin addresses, else page by page over SQL.

use serde_json::{Map, Value as Json};

use super::{Gateway, GatewayError};
use crate::model::digest::{RowHasher, TableDigest, bucket_of};
use crate::model::ids::PROBE_PREFIX;
use crate::model::measure::Holdings;
use crate::model::schema::{ColumnKind, quote};
use crate::model::value::Value;

/// Rows of one page of SQL.
const PAGE_ROWS: usize = 5000;
const DOING: &str = "reading the server's content";

impl Gateway {
    /// Returns the digest of the rows of one owner, or of all.
    pub async fn digest(&self, owner: Option<&str>) -> Result<TableDigest, GatewayError> {
        let query: Vec<_> = owner.map(|o| ("owner", o.to_owned())).into_iter().collect();
        match self.get(DOING, "/v1/admin/digest", &query).await {
            Ok(mut answer) => serde_json::from_value(answer["data"].take())
                .map_err(|e| GatewayError::shape(DOING, &self.base, &format!("data is not a digest ({e})"))),
            Err(GatewayError::Status { status: 404, .. }) => {
                let mut digest = TableDigest::default();
                let mut hasher = RowHasher::default();
                self.pages(owner, |key, row| {
                    digest.add(key, hasher.hash(row.iter().map(Value::cell)));
                    true
                })
                .await?;
                Ok(digest)
            }
            Err(other) => Err(other),
        }
    }

    /// Returns how much the server holds; `None` if it does not say.
    pub async fn holdings(&self) -> Result<Option<Holdings>, GatewayError> {
        match self.get("counting what the server holds", "/v1/admin/holdings", &[]).await {
            Ok(mut answer) => serde_json::from_value(answer["data"].take())
                .map(Some)
                .map_err(|e| GatewayError::shape(DOING, &self.base, &format!("data are no holdings ({e})"))),
            Err(GatewayError::Status { status: 404, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Returns up to `limit` rows of one owner, or of all, whose keys fall into the buckets.
    pub async fn rows(
        &self,
        owner: Option<&str>,
        buckets: &[usize],
        limit: usize,
    ) -> Result<Vec<Vec<Value>>, GatewayError> {
        let list = buckets.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let mut query = vec![("buckets", list), ("limit", limit.to_string())];
        query.extend(owner.map(|o| ("owner", o.to_owned())));
        match self.get(DOING, "/v1/admin/rows", &query).await {
            Ok(mut answer) => serde_json::from_value(answer["data"]["rows"].take())
                .map_err(|e| GatewayError::shape(DOING, &self.base, &format!("data.rows are not rows ({e})"))),
            Err(GatewayError::Status { status: 404, .. }) => {
                let mut found = Vec::new();
                self.pages(owner, |key, row| {
                    if found.len() < limit && buckets.contains(&bucket_of(key)) {
                        found.push(row.to_vec());
                    }
                    found.len() < limit
                })
                .await?;
                Ok(found)
            }
            Err(other) => Err(other),
        }
    }

    /// Shows every row, in key order and without the probes' rows, to `visit` until it returns false.
    async fn pages(
        &self,
        owner: Option<&str>,
        mut visit: impl FnMut(&str, &[Value]) -> bool,
    ) -> Result<(), GatewayError> {
        let mut last: Option<String> = None;
        loop {
            let page = self.sql(&self.page_sql(owner, last.as_deref())).await?;
            let full = page.len() >= PAGE_ROWS;
            for object in &page {
                let row = self.row(object)?;
                let Value::Text(key) = &row[self.table.key] else {
                    return Err(GatewayError::shape(DOING, &self.base, "a row's key is not a text"));
                };
                // A server that does not order or page as asked would be read for ever.
                if last.as_deref().is_some_and(|last| key.as_str() <= last) {
                    return Err(GatewayError::shape(DOING, &self.base, "rows do not come in the order of their keys"));
                }
                if !key.starts_with(PROBE_PREFIX) && !visit(key, &row) {
                    return Ok(());
                }
                last = Some(key.clone());
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Writes the statement for one page; blobs travel as hex, because JSON has no bytes.
    fn page_sql(&self, owner: Option<&str>, last: Option<&str>) -> String {
        let table = &self.table;
        let columns: Vec<_> = (0..table.columns.len())
            .map(|i| match table.columns[i].kind {
                // `hex(NULL)` would be an empty text.
                ColumnKind::Blob => format!("CASE WHEN {0} IS NOT NULL THEN hex({0}) END AS {0}", table.quoted(i)),
                _ => table.quoted(i),
            })
            .collect();
        let key = table.quoted(table.key);
        let mut wheres = Vec::new();
        wheres.extend(owner.map(|o| format!("{} = {}", table.quoted(table.owner), literal(o))));
        wheres.extend(last.map(|l| format!("{key} > {}", literal(l))));
        let filter = if wheres.is_empty() { String::new() } else { format!(" WHERE {}", wheres.join(" AND ")) };
        let from = quote(&table.name);
        format!("SELECT {} FROM {from}{filter} ORDER BY {key} LIMIT {PAGE_ROWS}", columns.join(", "))
    }

    fn row(&self, object: &Map<String, Json>) -> Result<Vec<Value>, GatewayError> {
        let bad = |name: &str| {
            GatewayError::shape(DOING, &self.base, &format!("column {name} is missing or not of its type"))
        };
        let columns = self.table.columns.iter();
        columns.map(|c| object.get(&c.name).and_then(|v| value(v, c.kind)).ok_or_else(|| bad(&c.name))).collect()
    }
}

/// Reads one JSON value as a value of the column's kind; other storage classes are kept as they are.
fn value(json: &Json, kind: ColumnKind) -> Option<Value> {
    Some(match (json, kind) {
        (Json::Null, _) => Value::Null,
        (Json::String(text), ColumnKind::Blob) => Value::Blob(unhex(text)?),
        (Json::String(text), _) => Value::Text(text.clone()),
        // JSON writes 1.0 as 1 in many languages.
        (Json::Number(n), ColumnKind::Real) => Value::Real(n.as_f64()?),
        (Json::Number(n), _) => n.as_i64().map(Value::Int).or_else(|| n.as_f64().map(Value::Real))?,
        (Json::Bool(b), _) => Value::Int(i64::from(*b)),
        _ => return None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Writes a text as an SQL literal; a NUL would end the statement for some servers, so the text goes as bytes then.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\0') {
        let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        return format!("CAST(x'{hex}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}
