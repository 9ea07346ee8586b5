//! Latencies as a high dynamic range histogram: any quantile of any number of values within 0.1 %, in bounded memory, and two
//! histograms add up to that of all their values, which no list of percentiles does. Format of the buckets: Gil Tene's
//! HdrHistogram, hdrhistogram.org.

use hdrhistogram::Histogram;

/// Significant decimal digits that are kept of every value.
const DIGITS: u8 = 3;
/// Longest latency that is told apart, in microseconds: two days.
const MAX_US: u64 = 2 * 86_400 * 1_000_000;
/// First byte of packed latencies.
const FORMAT: u8 = 1;

/// Latencies of any number of operations, in microseconds.
#[derive(Debug, Clone)]
pub struct Latencies {
    histogram: Histogram<u64>,
    /// The largest one exactly.
    max_us: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        // It grows with its values, up to the buckets of the longest one.
        Self { histogram: Histogram::new(DIGITS).expect("3 digits are permitted"), max_us: 0 }
    }
}

impl Latencies {
    /// Adds one latency.
    pub fn record(&mut self, us: u64) {
        self.record_many(us, 1);
        self.max_us = self.max_us.max(us);
    }

    fn record_many(&mut self, us: u64, count: u64) {
        // Only a value beyond the longest one can fail, and there is none.
        let _ = self.histogram.record_n(us.min(MAX_US), count);
    }

    /// Adds all of another one's latencies.
    pub fn add(&mut self, other: &Self) {
        for bucket in other.histogram.iter_recorded() {
            self.record_many(bucket.value_iterated_to(), bucket.count_since_last_iteration());
        }
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Returns how many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Returns the latency that a share of all operations did not exceed; 0 when there are none.
    pub fn quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share).min(self.max_us)
    }

    /// Returns the largest one.
    pub fn max(&self) -> u64 {
        self.max_us
    }

    /// Packs it: the largest one, and the buckets that hold something with the distance from one to the next.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        put(&mut bytes, self.max_us);
        let mut before = 0;
        for bucket in self.histogram.iter_recorded() {
            put(&mut bytes, bucket.value_iterated_to() - before);
            put(&mut bytes, bucket.count_since_last_iteration());
            before = bucket.value_iterated_to();
        }
        bytes
    }

    /// Reads packed latencies; `None` for anything else.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let (&FORMAT, mut rest) = bytes.split_first()? else { return None };
        let mut latencies = Self { max_us: take(&mut rest)?, ..Self::default() };
        let mut value = 0u64;
        while !rest.is_empty() {
            value = value.checked_add(take(&mut rest)?)?;
            latencies.record_many(value, take(&mut rest)?);
        }
        Some(latencies)
    }
}

/// Returns the packed latencies of both; what cannot be read counts as none.
pub fn merged(one: &[u8], other: &[u8]) -> Vec<u8> {
    match (Latencies::unpack(one), Latencies::unpack(other)) {
        (Some(mut all), Some(more)) => {
            all.add(&more);
            all.pack()
        }
        (Some(_), None) => one.to_vec(),
        (None, _) => other.to_vec(),
    }
}

/// Appends a number, seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Latencies {
        let mut all = Latencies::default();
        values.into_iter().for_each(|us| all.record(us));
        all
    }

    fn shown(all: &Latencies) -> (u64, Vec<u64>, u64) {
        (all.count(), [0.5, 0.9, 0.99, 0.999].map(|q| all.quantile(q)).to_vec(), all.max())
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let all = of(1..=100_000);
        for (share, exact) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let found = all.quantile(share) as f64;
            assert!((found - exact).abs() / exact <= 0.001, "{share}: {found}");
        }
        assert_eq!((all.count(), all.max(), all.quantile(1.0)), (100_000, 100_000, 100_000));
        assert_eq!(shown(&Latencies::default()), (0, vec![0; 4], 0));
        assert_eq!(of([7]).quantile(0.99), 7);
    }

    #[test]
    fn it_stays_small_however_many_there_are() {
        // Every bucket of three digits up to two days, each more than once.
        let mut all = Latencies::default();
        let mut us = 1.0f64;
        while (us as u64) < u64::MAX / 4 {
            all.record(us as u64);
            all.record(us as u64);
            us *= 1.0004;
        }
        assert!(all.pack().len() < 200_000, "{}", all.pack().len());
        assert!(all.max() > MAX_US && all.quantile(1.0) >= MAX_US);
        assert_eq!(shown(&Latencies::unpack(&all.pack()).unwrap()), shown(&all));
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        let good = of([5, 900, 70_000]).pack();
        assert!(Latencies::unpack(&[]).is_none() && Latencies::unpack(&[9, 1]).is_none());
        assert!(Latencies::unpack(&good[..good.len() - 1]).is_none());
        assert!(Latencies::unpack(&[FORMAT, 0, 0xff]).is_none());
        assert!(Latencies::unpack(&[&[FORMAT][..], &[0xff; 12]].concat()).is_none());
        let huge = [&[FORMAT, 1][..], &[0xff; 9], &[1, 1]].concat();
        assert_eq!(Latencies::unpack(&huge).unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(one in prop::collection::vec(0u64..1 << 40, 0..60), two in prop::collection::vec(0u64..5_000, 0..60)) {
            let mut sum = Latencies::unpack(&of(one.iter().copied()).pack()).unwrap();
            sum.add(&Latencies::unpack(&of(two.iter().copied()).pack()).unwrap());
            prop_assert_eq!(shown(&sum), shown(&of(one.into_iter().chain(two))));
        }
    }
}
