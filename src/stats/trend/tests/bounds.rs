//! Series whose growth cannot be told apart from what else they do, and is known all the same to be small.

use super::*;

/// Resident pages of a worker above the first value, by minute: it rises by single pages and settles, and so looks like teeth.
const PAGES: [(i64, u32); 64] = [
    (0, 0),
    (31, 2),
    (62, 3),
    (91, 8),
    (121, 9),
    (152, 9),
    (187, 10),
    (221, 10),
    (253, 11),
    (284, 11),
    (320, 12),
    (350, 15),
    (384, 16),
    (412, 16),
    (444, 16),
    (473, 16),
    (504, 16),
    (534, 17),
    (565, 18),
    (599, 19),
    (629, 20),
    (658, 20),
    (686, 20),
    (726, 20),
    (756, 20),
    (787, 20),
    (818, 23),
    (849, 23),
    (880, 23),
    (916, 23),
    (965, 23),
    (1003, 24),
    (1032, 24),
    (1094, 24),
    (1137, 24),
    (1182, 24),
    (1212, 24),
    (1258, 24),
    (1290, 24),
    (1330, 24),
    (1376, 24),
    (1474, 24),
    (1522, 24),
    (1577, 24),
    (1616, 25),
    (1655, 25),
    (1741, 25),
    (1801, 25),
    (1862, 25),
    (1910, 27),
    (1964, 27),
    (2030, 27),
    (2062, 28),
    (2094, 28),
    (2151, 28),
    (2239, 28),
    (2279, 28),
    (2337, 28),
    (2383, 28),
    (2431, 28),
    (2480, 28),
    (2548, 28),
    (2589, 28),
    (2670, 28),
];

/// Judges it with a limit of growth in bytes per hour.
fn judged(slope_per_h: f64) -> Trend {
    let sample = |(minute, pages): &(i64, u32)| Sample::new(minute * 60_000, f64::from(1_212 + pages) * 4_096.0);
    let samples: Vec<Sample> = PAGES.iter().map(sample).collect();
    examine(&samples, &Limits { slope_per_h, ..limits() })
}

#[test]
fn what_stays_within_narrow_bounds_is_steady() {
    let megabyte = judged(1_048_576.0);
    assert_eq!(megabyte.outcome, Outcome::Steady, "{}", megabyte.why);
    // All that it rose by, over the time that it was watched.
    assert!(megabyte.slope_high > 2_500.0 && megabyte.slope_high < 2_700.0, "{megabyte:?}");
    assert!(!megabyte.why.contains("NaN"), "{}", megabyte.why);
}

#[test]
fn bounds_that_allow_more_than_the_limit_prove_nothing() {
    let little = judged(500.0);
    assert_eq!(little.outcome, Outcome::TooLittle, "{}", little.why);
}
