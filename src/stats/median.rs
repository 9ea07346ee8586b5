//! The median of values, which every robust estimate in here is built on.

/// Returns the median, for which the values are put into another order; none of nothing.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let upper = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (left, value, _) = values.select_nth_unstable_by(upper, f64::total_cmp);
    let value = *value;
    let below = left.iter().copied().max_by(f64::total_cmp).filter(|_| even);
    Some(below.map_or(value, |below| below / 2.0 + value / 2.0))
}

/// Returns the median and leaves the values as they are; not a number of nothing.
pub(crate) fn median_of(values: &[f64]) -> f64 {
    median(&mut values.to_vec()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found_in_any_order() {
        assert_eq!(median_of(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median_of(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut []), None);
        assert!(median_of(&[]).is_nan());
    }
}
