//! Measured values over time. Samples of some moments are written together, each into the block of its minute; a block that is
//! over becomes one point of the next coarser tier. The size is bounded by the number of names, tiers and blocks.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, WriteTransaction};

use super::tables::{self, DAEMON, RowsMut, SERIES, checked};
use super::{Store, StoreError};
use crate::model::series::{Block, Moment, NAME_BYTES_MAX, NAMES_MAX, Point, Tier};

/// Name of the list of names.
const NAMES: &[u8] = b"series";
/// A clock that is set back by more than this starts what it shows anew: points of a wrong future must not stay for ever.
const BACK_MAX_MS: i64 = 600_000;

impl Store {
    /// Adds one sample to each of the named series.
    pub fn record_series(&mut self, at_ms: i64, samples: &[(&str, f64)]) -> Result<(), StoreError> {
        let values = samples.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.record_moments(&[Moment { at_ms, values }])
    }

    /// Adds the samples of several moments, the oldest first, in one commit. Of names beyond a bound nothing is kept, which is
    /// an error when all the others are written.
    pub fn record_moments(&mut self, moments: &[Moment]) -> Result<(), StoreError> {
        let mut by_name: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
        for moment in moments {
            for (name, value) in &moment.values {
                if checked(name)?.len() > NAME_BYTES_MAX {
                    return Err(StoreError::BadName { name: name.chars().take(80).collect(), max: NAME_BYTES_MAX });
                }
                let samples = by_name.entry(name).or_default();
                if value.is_finite() {
                    samples.push((moment.at_ms.max(0), *value));
                }
            }
        }
        if by_name.is_empty() {
            return Ok(());
        }
        let left_out = self.write(|txn| {
            let left_out = note_names(txn, &mut by_name)?;
            let mut table = txn.open_table(SERIES)?;
            for (name, samples) in &by_name {
                add(&mut table, name, samples)?;
            }
            Ok(left_out)
        })?;
        left_out.map_or(Ok(()), |name| Err(StoreError::TooManySeries { name, max: NAMES_MAX }))
    }

    /// Returns the points of a series from one time up to, not including, another, each with its time, mean, minimum and
    /// maximum; the finest that are kept of each time.
    pub fn series(&self, name: &str, from_ms: i64, until_ms: i64) -> Result<Vec<(i64, f64, f64, f64)>, StoreError> {
        let points = self.series_points(name, from_ms, until_ms)?;
        Ok(points.into_iter().map(|p| (p.at_ms, p.mean, p.min, p.max)).collect())
    }

    /// Returns the same points with the number of samples that each stands for.
    pub fn series_points(&self, name: &str, from_ms: i64, until_ms: i64) -> Result<Vec<Point>, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, SERIES)? else { return Ok(Vec::new()) };
            let mut parts: Vec<Vec<Point>> = Vec::new();
            // What a finer tier shows already is left out of the coarser ones.
            let mut before_ms = i64::MAX;
            for tier in Tier::ALL {
                let mut points: Vec<Point> = Vec::new();
                let mut first_ms = before_ms;
                let (from, until) = (block_key(name, tier, 0), block_key(name, tier, i64::MAX));
                for row in table.range(from.as_slice()..until.as_slice())? {
                    let (key, bytes) = row?;
                    first_ms = first_ms.min(start_of(key.value()));
                    points.extend(Block::unpack(bytes.value()).0);
                }
                points.retain(|p| p.at_ms < before_ms && (from_ms..until_ms).contains(&p.at_ms));
                parts.push(points);
                before_ms = first_ms;
            }
            Ok(parts.into_iter().rev().flatten().collect())
        })
    }

    /// Returns the names of all series.
    pub fn series_names(&self) -> Result<Vec<String>, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, DAEMON)? else { return Ok(Vec::new()) };
            Ok(tables::get::<Vec<String>>(&table, DAEMON, NAMES)?.unwrap_or_default())
        })
    }
}

/// Notes new names, and takes out those beyond the bound; returns one of them.
fn note_names(
    txn: &WriteTransaction,
    by_name: &mut BTreeMap<&str, Vec<(i64, f64)>>,
) -> Result<Option<String>, StoreError> {
    let mut table = txn.open_table(DAEMON)?;
    let mut names: BTreeSet<String> = tables::get(&table, DAEMON, NAMES)?.unwrap_or_default();
    let (before, mut left_out) = (names.len(), None);
    by_name.retain(|name, _| {
        let fits = names.contains(*name) || names.len() < NAMES_MAX;
        if fits {
            names.insert((*name).to_owned());
        } else {
            left_out.get_or_insert_with(|| (*name).to_owned());
        }
        fits
    });
    if names.len() > before {
        tables::put(&mut table, DAEMON, NAMES, &names)?;
    }
    Ok(left_out)
}

/// Adds samples to the blocks of their minutes; when a new one begins, those before it are summed up and old ones dropped.
fn add(table: &mut RowsMut<'_>, name: &str, samples: &[(i64, f64)]) -> Result<(), StoreError> {
    let mut newest = newest(table, name, Tier::Sample)?;
    for (at_ms, value) in samples {
        let mut at_ms = *at_ms;
        if let Some(last) = newest.as_ref().and_then(|(_, block)| block.0.last())
            && last.at_ms > at_ms
        {
            if last.at_ms - at_ms <= BACK_MAX_MS {
                at_ms = last.at_ms;
            } else {
                for tier in Tier::ALL {
                    drop_range(table, (name, tier), tier.block_of(at_ms), i64::MAX)?;
                }
                newest = None;
            }
        }
        let start = Tier::Sample.block_of(at_ms);
        let mut block = match newest.take() {
            Some((from_ms, block)) if from_ms == start => block,
            Some((from_ms, block)) => {
                put_block(table, name, (from_ms, &block))?;
                sum_up(table, name, (Tier::Sample, from_ms, &block), at_ms)?;
                for tier in Tier::ALL {
                    drop_range(table, (name, tier), 0, tier.block_of(at_ms - tier.kept_ms()))?;
                }
                Block::default()
            }
            None => Block::default(),
        };
        block.push(Point::sample(at_ms, *value));
        newest = Some((start, block));
    }
    newest.map_or(Ok(()), |(start, block)| put_block(table, name, (start, &block)))
}

fn put_block(table: &mut RowsMut<'_>, name: &str, (start, block): (i64, &Block)) -> Result<(), StoreError> {
    table.insert(block_key(name, Tier::Sample, start).as_slice(), block.pack().as_slice())?;
    Ok(())
}

/// Makes one point of the next coarser tier of a block that is over, and so on upwards.
fn sum_up(
    table: &mut RowsMut<'_>,
    name: &str,
    (tier, from_ms, block): (Tier, i64, &Block),
    now_ms: i64,
) -> Result<(), StoreError> {
    let (Some(coarser), Some(point)) = (tier.coarser(), block.summary(from_ms)) else { return Ok(()) };
    let start = coarser.block_of(from_ms);
    let key = block_key(name, coarser, start);
    let mut block = table.get(key.as_slice())?.map_or_else(Block::default, |bytes| Block::unpack(bytes.value()));
    block.push(point);
    table.insert(key.as_slice(), block.pack().as_slice())?;
    if coarser.block_of(now_ms) > start {
        sum_up(table, name, (coarser, start, &block), now_ms)?;
    }
    Ok(())
}

fn newest(table: &RowsMut<'_>, name: &str, tier: Tier) -> Result<Option<(i64, Block)>, StoreError> {
    let (from, until) = (block_key(name, tier, 0), block_key(name, tier, i64::MAX));
    let row = table.range(from.as_slice()..until.as_slice())?.next_back().transpose()?;
    Ok(row.map(|(key, bytes)| (start_of(key.value()), Block::unpack(bytes.value()))))
}

fn drop_range(
    table: &mut RowsMut<'_>,
    (name, tier): (&str, Tier),
    from_ms: i64,
    until_ms: i64,
) -> Result<(), StoreError> {
    let (from, until) = (block_key(name, tier, from_ms), block_key(name, tier, until_ms.max(from_ms)));
    table.retain_in(from.as_slice()..until.as_slice(), |_, _| false)?;
    Ok(())
}

/// Returns the key of a block: name, tier, start.
fn block_key(name: &str, tier: Tier, start_ms: i64) -> Vec<u8> {
    let mut key = tables::key(name, &[]);
    key.push(tier as u8);
    key.extend_from_slice(&(start_ms.max(0) as u64).to_be_bytes());
    key
}

/// Returns the start of a block.
fn start_of(key: &[u8]) -> i64 {
    let bytes = key.last_chunk::<8>().copied().unwrap_or_default();
    i64::try_from(u64::from_be_bytes(bytes)).unwrap_or(i64::MAX)
}
