//! As many points of a series as can be told apart: of each stretch the least and the largest, so that no peak and no trough
//! is lost, and never a line over a break.

use super::POINTS_MAX;

/// Returns the pieces of a line, cut where a value is no number.
pub(super) fn pieces(points: &[(i64, f64)]) -> Vec<Vec<(i64, f64)>> {
    let mut sorted = points.to_vec();
    sorted.sort_by_key(|(at, _)| *at);
    let mut piece = 0;
    let mut numbered: Vec<(usize, (i64, f64))> = Vec::with_capacity(sorted.len());
    for point in sorted {
        if point.1.is_finite() {
            numbered.push((piece, point));
        } else {
            piece += 1;
        }
    }
    let mut pieces: Vec<Vec<(i64, f64)>> = Vec::new();
    let mut last = None;
    for (piece, point) in extremes(&numbered) {
        if last != Some(piece) {
            pieces.push(Vec::new());
            last = Some(piece);
        }
        if let Some(open) = pieces.last_mut() {
            open.push(point);
        }
    }
    pieces
}

/// Returns the first and the last point, and of each stretch the least and the largest in their order.
fn extremes(points: &[(usize, (i64, f64))]) -> Vec<(usize, (i64, f64))> {
    if points.len() <= POINTS_MAX {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(POINTS_MAX / 2 - 1);
    let mut kept = Vec::with_capacity(POINTS_MAX);
    kept.extend(points.first());
    for (no, part) in points.chunks(stretch).enumerate() {
        let value = |at: &usize| part[*at].1.1;
        let least = (0..part.len()).min_by(|a, b| value(a).total_cmp(&value(b))).unwrap_or(0);
        let most = (0..part.len()).max_by(|a, b| value(a).total_cmp(&value(b))).unwrap_or(0);
        let (early, late) = (least.min(most), least.max(most));
        if no > 0 || early > 0 {
            kept.push(part[early]);
        }
        if late > early {
            kept.push(part[late]);
        }
    }
    if let Some(end) = points.last().filter(|end| kept.last().is_none_or(|last| last.1.0 < end.1.0)) {
        kept.push(*end);
    }
    kept
}

/// Returns at most as many points as can be told apart, of each stretch the largest.
pub(super) fn peaks(points: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut finite: Vec<(i64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    finite.sort_by_key(|(at, _)| *at);
    let stretch = finite.len().div_ceil(POINTS_MAX).max(1);
    let largest = |part: &[(i64, f64)]| part.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    finite.chunks(stretch).filter_map(largest).collect()
}

/// Returns a line of about so many points, each the mean of a stretch; breaks stay where they are.
pub(super) fn means(points: &[(i64, f64)], most: usize) -> Vec<(i64, f64)> {
    let stretch = points.len().div_ceil(most.max(1)).max(1);
    let mut calm = Vec::new();
    for piece in points.split_inclusive(|(_, value)| !value.is_finite()) {
        let (values, end) = match piece.split_last() {
            Some((last, before)) if !last.1.is_finite() => (before, Some(*last)),
            _ => (piece, None),
        };
        for part in values.chunks(stretch) {
            let mean = part.iter().map(|(_, value)| value / part.len() as f64).sum();
            calm.extend(part.get(part.len() / 2).map(|(at, _)| (*at, mean)));
        }
        calm.extend(end);
    }
    calm
}

/// Returns the area between least and largest values, in pieces; of each stretch the outermost edges.
pub(super) fn area(range: &[(i64, f64, f64)]) -> Vec<Vec<(i64, f64, f64)>> {
    let mut sorted = range.to_vec();
    sorted.sort_by_key(|(at, ..)| *at);
    let whole = |point: &(i64, f64, f64)| point.1.is_finite() && point.2.is_finite();
    let pieces: Vec<&[(i64, f64, f64)]> =
        sorted.split(|point| !whole(point)).filter(|piece| !piece.is_empty()).collect();
    let stretch = sorted.len().div_ceil(POINTS_MAX / 2).max(1);
    let outer = |part: &[(i64, f64, f64)]| {
        let low = part.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let high = part.iter().map(|point| point.2).fold(f64::NEG_INFINITY, f64::max);
        part.first().map(|first| (first.0, low, high))
    };
    let thinned = |piece: &&[(i64, f64, f64)]| {
        let mut kept: Vec<_> = piece.chunks(stretch).filter_map(outer).collect();
        // The last stretch reaches to the end of its piece.
        if let (Some(end), Some(last)) = (piece.last(), kept.last().copied())
            && last.0 < end.0
        {
            kept.push((end.0, last.1, last.2));
        }
        kept
    };
    pieces.iter().take(POINTS_MAX / 2).map(thinned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_troughs_of_a_long_series_stay_and_its_breaks_too() {
        let mut points: Vec<(i64, f64)> = (0..50_000).map(|at| (at, 10.0 + (at % 7) as f64)).collect();
        (points[12_345].1, points[40_001].1) = (-3.0, 99.0);
        points.insert(25_000, (25_000, f64::NAN));
        let kept = pieces(&points);
        assert_eq!(kept.len(), 2);
        let all: Vec<(i64, f64)> = kept.concat();
        assert!(all.len() <= POINTS_MAX + 1, "{}", all.len());
        assert!(all.contains(&(12_345, -3.0)) && all.contains(&(40_001, 99.0)), "{all:?}");
        assert!(all.windows(2).all(|two| two[0].0 <= two[1].0));
        assert_eq!((all[0].0, all[all.len() - 1].0), (0, 49_999));
        assert!(kept[0].last().unwrap().0 < 25_000 && kept[1][0].0 >= 25_000);
    }

    #[test]
    fn means_are_fewer_and_keep_breaks() {
        let points: Vec<(i64, f64)> = (0..100).map(|at| (at, if at == 40 { f64::NAN } else { at as f64 })).collect();
        let calm = means(&points, 10);
        assert!(calm.len() <= 12, "{calm:?}");
        assert_eq!((calm[0], calm[4].0, calm[4].1.is_nan()), ((5, 4.5), 40, true));
        assert!(means(&[], 0).is_empty());
    }

    #[test]
    fn more_lives_than_points_are_bounded_as_well() {
        let lives: Vec<(i64, f64)> = (0..9_000).flat_map(|at| [(at, f64::NAN), (at, at as f64)]).collect();
        assert!(pieces(&lives).concat().len() <= POINTS_MAX + 1);
        let range: Vec<_> = (0..9_000).flat_map(|at| [(at, f64::NAN, 0.0), (at, 1.0, 2.0)]).collect();
        assert!(area(&range).concat().len() <= POINTS_MAX);
        assert!(pieces(&[(1, f64::INFINITY)]).is_empty() && peaks(&[]).is_empty() && area(&[]).is_empty());
    }
}
