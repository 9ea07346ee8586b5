//! Planted burdens: what makes the server slower or lets it grow, request by request, and settings of a test bed that make
//! such things measurable on a small machine. It touches no row; what is wrong with rows is planted in [`super`].

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Span;

/// Memory that a leak keeps at most, so that a test cannot take the machine down.
const LEAK_BYTES_MAX: usize = 1 << 30;
/// Files that a leak keeps open at most.
const LEAK_FILES_MAX: usize = 10_000;
/// Bytes that one request leaks where none are named.
const LEAK_BYTES: usize = 64 << 10;
/// Requests between two leaked descriptors where none are named.
const LEAK_EVERY: u64 = 10;
/// Longest version that may be given.
const VERSION_MAX: usize = 64;

/// One planted burden.
#[derive(Debug, Clone, PartialEq)]
pub enum Burden {
    /// Every request keeps this much memory for ever.
    LeakMemory(usize),
    /// Every so many requests a file stays open for ever.
    LeakDescriptor(u64),
    /// From this request on, counted from 1, answers take so many percent longer.
    Slow { percent: f64, from: u64 },
    /// Every answer takes at least this much longer: a test bed's floor, above which a few percent can be seen.
    Floor(Duration),
    /// Pages after which the write-ahead log of a SQLite store is checkpointed; never at 0.
    WalPages(u32),
    /// The version that the server gives of itself.
    Version(String),
}

/// The forms of all burdens.
pub const FORMS: &[&str] = &[
    "leak-memory[=BYTES]",
    "leak-descriptor[=REQUESTS]",
    "slow-down=PERCENT",
    "slow-later=PERCENT@REQUEST",
    "base-latency=TIME",
    "keep-wal",
    "wal-pages=PAGES",
    "version=TEXT",
];

/// Reads a burden such as `slow-down=10`; `None` for a name that is no burden, and what is wrong with one that is.
pub(super) fn parse(text: &str) -> Option<Result<Burden, String>> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let form = FORMS.iter().find(|form| form.split(['=', '[']).next() == Some(name))?;
    let wrong = || format!("the plant {text:?} is not understood; its form is {form}");
    let read = match (name, value) {
        ("leak-memory", None) => Some(Burden::LeakMemory(LEAK_BYTES)),
        ("leak-memory", Some(bytes)) => {
            bytes.parse().ok().filter(|n| (1..=LEAK_BYTES_MAX).contains(n)).map(Burden::LeakMemory)
        }
        ("leak-descriptor", None) => Some(Burden::LeakDescriptor(LEAK_EVERY)),
        ("leak-descriptor", Some(every)) => every.parse().ok().filter(|n: &u64| *n > 0).map(Burden::LeakDescriptor),
        ("slow-down", Some(percent)) => percent_of(percent).map(|percent| Burden::Slow { percent, from: 1 }),
        ("slow-later", Some(both)) => both
            .split_once('@')
            .and_then(|(percent, from)| Some(Burden::Slow { percent: percent_of(percent)?, from: from.parse().ok()? })),
        ("base-latency", Some(time)) => {
            Span::parse(time).ok().map(Span::get).filter(|time| time.as_secs() < 60).map(Burden::Floor)
        }
        ("keep-wal", None) => Some(Burden::WalPages(0)),
        ("wal-pages", Some(pages)) => pages.parse().ok().filter(|n: &u32| *n <= 1_000_000).map(Burden::WalPages),
        ("version", Some(text)) => {
            let fits = (1..=VERSION_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
            fits.then(|| Burden::Version(text.to_owned()))
        }
        _ => None,
    };
    Some(read.ok_or_else(wrong))
}

fn percent_of(text: &str) -> Option<f64> {
    text.parse().ok().filter(|percent: &f64| (0.0..=10_000.0).contains(percent))
}

/// All planted burdens of a server, and what they have kept so far.
#[derive(Default)]
pub(super) struct Burdens {
    planted: Vec<Burden>,
    requests: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    memory: Vec<Vec<u8>>,
    bytes: usize,
    files: Vec<File>,
}

impl Burdens {
    pub(super) fn new(planted: Vec<Burden>) -> Self {
        Self { planted, ..Self::default() }
    }

    /// Returns the pages after which the write-ahead log is to be checkpointed, if that is planted.
    pub(super) fn wal_pages(&self) -> Option<u32> {
        // One that keeps the log wins over a test bed's setting.
        self.planted.iter().filter_map(|b| if let Burden::WalPages(pages) = b { Some(*pages) } else { None }).min()
    }

    /// Returns the version that the server is to give of itself, if one is planted.
    pub(super) fn version(&self) -> Option<&str> {
        self.planted.iter().find_map(|b| if let Burden::Version(text) = b { Some(text.as_str()) } else { None })
    }

    /// Does the work of one request under all that is planted.
    pub(super) async fn bear<T>(&self, work: impl Future<Output = T>) -> T {
        if self.planted.is_empty() {
            return work.await;
        }
        let begun = Instant::now();
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.leak(number);
        let done = work.await;
        // One sleep to one instant: two would each be rounded up.
        tokio::time::sleep_until(begun + self.lasts(number, begun.elapsed())).await;
        done
    }

    /// Returns how long a request is to take whose work took `worked`.
    fn lasts(&self, number: u64, worked: Duration) -> Duration {
        let (mut time, mut slower) = (worked, 0.0);
        for burden in &self.planted {
            match burden {
                Burden::Floor(floor) => time += *floor,
                Burden::Slow { percent, from } if number >= *from => slower += percent,
                _ => {}
            }
        }
        time.mul_f64(1.0 + slower / 100.0)
    }

    fn leak(&self, number: u64) {
        for burden in &self.planted {
            match burden {
                Burden::LeakMemory(bytes) => self.kept().keep_memory(*bytes),
                Burden::LeakDescriptor(every) if number.is_multiple_of(*every) => self.kept().keep_file(),
                _ => {}
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep_memory(&mut self, bytes: usize) {
        if self.bytes + bytes <= LEAK_BYTES_MAX {
            self.bytes += bytes;
            // Filled with something: pages that were never written to are not resident.
            self.memory.push(vec![0xA5; bytes]);
        }
    }

    fn keep_file(&mut self) {
        if self.files.len() < LEAK_FILES_MAX
            && let Ok(file) = std::env::current_exe().and_then(File::open)
        {
            self.files.push(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burdens(all: &[&str]) -> Burdens {
        Burdens::new(all.iter().map(|text| parse(text).unwrap().unwrap()).collect())
    }

    #[test]
    fn burdens_are_read_and_wrong_ones_say_their_form() {
        let read = |text: &str| parse(text).unwrap().unwrap();
        assert_eq!(read("leak-memory"), Burden::LeakMemory(65_536));
        assert_eq!(read("leak-memory=4096"), Burden::LeakMemory(4096));
        assert_eq!(read("leak-descriptor=3"), Burden::LeakDescriptor(3));
        assert_eq!(read("slow-later=10@200"), Burden::Slow { percent: 10.0, from: 200 });
        assert_eq!(read("base-latency=20ms"), Burden::Floor(Duration::from_millis(20)));
        assert_eq!(read("keep-wal"), Burden::WalPages(0));
        assert_eq!(read("version=soakd 9.9 (beta=2)"), Burden::Version("soakd 9.9 (beta=2)".into()));
        for wrong in [
            "leak-memory=",
            "leak-memory=0",
            "leak-descriptor=0",
            "slow-down",
            "slow-down=NaN",
            "slow-down=-5",
            "slow-later=10",
            "base-latency=20",
            "base-latency=2h",
            "keep-wal=1",
            "wal-pages=-1",
            "version=",
            "version=a\nb",
        ] {
            let said = parse(wrong).unwrap().unwrap_err();
            assert!(said.contains("its form is") && said.contains(wrong.split('=').next().unwrap()), "{said}");
        }
        assert!(parse("leak").is_none() && parse("drop-change").is_none() && parse("").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_slower_by_the_share_that_is_planted() {
        let burdens = burdens(&["base-latency=20ms", "slow-later=10@3"]);
        let mut lasted = Vec::new();
        for _ in 0..4 {
            let begun = Instant::now();
            burdens.bear(tokio::time::sleep(Duration::from_millis(10))).await;
            lasted.push(begun.elapsed().as_millis());
        }
        assert_eq!(lasted, [30, 30, 33, 33]);
        let (none, begun) = (Burdens::default(), Instant::now());
        none.bear(async {}).await;
        assert!(begun.elapsed().is_zero());
    }

    #[tokio::test]
    async fn leaks_keep_what_they_say_and_no_more() {
        let burdens = burdens(&["leak-memory=1000", "leak-descriptor=2"]);
        for _ in 0..5 {
            burdens.bear(async {}).await;
        }
        let mut kept = burdens.kept();
        assert_eq!((kept.memory.len(), kept.bytes, kept.files.len()), (5, 5000, 2));
        kept.keep_memory(LEAK_BYTES_MAX);
        assert_eq!(kept.bytes, 5000);
    }

    #[test]
    fn the_log_is_kept_even_where_the_test_bed_says_otherwise() {
        assert_eq!(burdens(&["wal-pages=100"]).wal_pages(), Some(100));
        assert_eq!(burdens(&["wal-pages=100", "keep-wal"]).wal_pages(), Some(0));
        assert_eq!(burdens(&["leak-memory"]).wal_pages(), None);
        assert_eq!(burdens(&["version=2"]).version(), Some("2"));
    }
}
