//! What a target says of itself to those who ask: the metrics of a remote process, and the PostgreSQL behind it. Also finds the
//! process of a target that soakd does not run. Whatever is configured and cannot be read is missing, with its reason.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::LASTING;
use super::part::Part;
use crate::config::{ObserveConfig, SecretRef};
use crate::probe::missing::Missing;
use crate::probe::postgres::{self, Postgres};
use crate::probe::prometheus::{Family, Scraper, Wanted};
use crate::probe::unit;

/// Kind, name, and the label that a series must have.
type Known = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// The metrics that are known by their names, by what they are here; of several names for one thing the first that is there counts.
const KNOWN: &[Known] = &[
    ("rss", "process_resident_memory_bytes", None),
    ("fds", "process_open_fds", None),
    ("threads", "process_threads", None),
    ("threads", "go_threads", None),
    ("threads", "jvm_threads_live_threads", None),
    ("threads", "jvm_threads_current", None),
    ("cpu", "process_cpu_seconds_total", None),
    ("heap", "go_memstats_heap_inuse_bytes", None),
    ("heap", "jvm_memory_used_bytes", Some(("area", "heap"))),
    ("heap", "jvm_memory_bytes_used", Some(("area", "heap"))),
    ("heap", "nodejs_heap_size_used_bytes", None),
];
/// When the process was started: what tells one life from the next.
const STARTED: &str = "process_start_time_seconds";
const PART: &str = "target";
/// How often systemd is asked for the process of a unit that has none.
const UNIT_EVERY: Duration = Duration::from_secs(10);

/// For whom counters are turned into rates: each asks in its own rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    Series,
    Cycle,
}

/// One value with its full name and its life.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub metric: String,
    pub value: f64,
    pub life: u32,
}

/// A counter as it was seen before.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Instant,
    value: f64,
    life: u32,
}

/// The target as it is seen from outside.
pub struct Outside {
    config: watch::Receiver<ObserveConfig>,
    /// What the sources below were made from.
    made_from: Option<ObserveConfig>,
    /// PostgreSQL of the embedded target.
    store: Option<SecretRef>,
    scraper: Option<Scraper>,
    postgres: Option<Postgres>,
    /// The unit's process, until it is gone.
    unit_pid: Option<u32>,
    unit_asked: Option<Instant>,
    counters: BTreeMap<(Reader, String), Counted>,
    missing: Missing,
}

impl Outside {
    /// Returns one that has read nothing yet; `store` is the embedded target's PostgreSQL, if it has one.
    pub fn new(config: watch::Receiver<ObserveConfig>, store: Option<SecretRef>) -> Self {
        Self {
            config,
            made_from: None,
            store,
            scraper: None,
            postgres: None,
            unit_pid: None,
            unit_asked: None,
            counters: BTreeMap::new(),
            missing: Missing::default(),
        }
    }

    /// Returns a target that soakd does not run, if anything of it is on this machine.
    pub async fn part(&mut self) -> Option<Part> {
        let config = self.config.borrow().clone();
        let pid = match (&config.target_pid, &config.target_unit) {
            (Some(pid), _) => {
                let there = lives(*pid).then_some(*pid).ok_or_else(|| format!("there is no process {pid}"));
                self.missing.take("observe.target_pid", there)
            }
            (None, Some(unit)) => {
                let asked = self.unit_asked.is_some_and(|at| at.elapsed() < UNIT_EVERY);
                if !self.unit_pid.is_some_and(lives) && !asked {
                    self.unit_asked = Some(Instant::now());
                    self.unit_pid = self.missing.take("observe.target_unit", unit::main_pid(unit).await);
                }
                self.unit_pid.filter(|pid| lives(*pid))
            }
            (None, None) => None,
        };
        let part = Part { name: PART.into(), pid, databases: config.target_files };
        (part.pid.is_some() || !part.databases.is_empty()).then_some(part)
    }

    /// Returns what is configured and could not be read when it was tried last, with the reasons.
    pub fn missing(&self) -> &BTreeMap<String, String> {
        self.missing.all()
    }

    /// Asks every source that is configured; `local` if the target's process is read on this machine, which is then surer than
    /// what it says of itself.
    pub async fn figures(&mut self, reader: Reader, local: bool) -> Vec<Figure> {
        self.make_sources();
        let mut figures = Vec::new();
        if let Some(scraper) = self.scraper.clone() {
            let wanted = self.wanted();
            let scraped = scraper.scrape(&wanted).await;
            if let Some(families) = self.missing.take("observe.target_metrics", scraped) {
                figures.extend(self.of_metrics(reader, local, &wanted, &families));
            }
        }
        if let Some(mut postgres) = self.postgres.take() {
            let read = postgres.read().await;
            self.postgres = Some(postgres);
            if let Some(read) = self.missing.take("observe.target_postgres", read) {
                let dead = read.dead_bytes.ok_or("a table is locked, so that its size cannot be had");
                self.missing.take("bytes of dead rows of PostgreSQL", dead);
                figures.extend(of_postgres(&read));
            }
        }
        figures
    }

    /// Makes the sources anew when the configuration has changed.
    fn make_sources(&mut self) {
        let config = self.config.borrow().clone();
        if self.made_from.as_ref() == Some(&config) {
            return;
        }
        let scraper = config.target_metrics.as_deref().map(Scraper::new).transpose();
        self.scraper = self.missing.take("observe.target_metrics", scraper).flatten();
        let address = self.store.as_ref().or(config.target_postgres.as_ref());
        let postgres = address.map(|secret| {
            let address = secret.resolve().map_err(|error| error.to_string())?;
            Postgres::new(address.expose_secret()).map_err(|error| error.to_string())
        });
        self.postgres = self.missing.take("observe.target_postgres", postgres.transpose()).flatten();
        (self.unit_pid, self.unit_asked) = (None, None);
        self.made_from = Some(config);
    }

    /// Returns what is asked for: the known metrics, the start, and those that the configuration names.
    fn wanted(&self) -> Vec<Wanted> {
        let known = KNOWN.iter().map(|(_, name, label)| Wanted { name: (*name).to_owned(), label: *label });
        let named = self.config.borrow().target_figures.clone();
        known.chain([Wanted::all(STARTED)]).chain(named.into_iter().map(Wanted::all)).collect()
    }

    fn of_metrics(&mut self, reader: Reader, local: bool, wanted: &[Wanted], families: &[Family]) -> Vec<Figure> {
        let start = families.iter().find(|family| wanted[family.wanted].name == STARTED);
        let life = start.map_or(LASTING, |family| life_of(family.value));
        let mut figures: Vec<Figure> = Vec::new();
        let mut sorted: Vec<&Family> = families.iter().collect();
        sorted.sort_by_key(|family| family.wanted);
        for family in sorted {
            let metric = match KNOWN.get(family.wanted) {
                Some((kind, ..)) if local && *kind != "heap" => continue,
                Some((kind, ..)) => format!("{kind}.{PART}"),
                None if family.wanted == KNOWN.len() => continue,
                None => format!("custom.{}", wanted[family.wanted].name),
            };
            if figures.iter().any(|figure| figure.metric == metric) {
                continue;
            }
            let value =
                if family.counter { self.rate(reader, &metric, family.value, life) } else { Some(family.value) };
            figures.extend(value.map(|value| Figure { metric, value, life }));
        }
        figures
    }

    /// Returns by how much a counter grew per second since this reader saw it before, in the same life.
    fn rate(&mut self, reader: Reader, metric: &str, value: f64, life: u32) -> Option<f64> {
        let now = Counted { at: Instant::now(), value, life };
        let last = self.counters.insert((reader, metric.to_owned()), now)?;
        let seconds = now.at.saturating_duration_since(last.at).as_secs_f64();
        let grew = last.life == life && value >= last.value && seconds > 0.0;
        grew.then(|| (value - last.value) / seconds)
    }
}

/// Returns what PostgreSQL said, by metric.
fn of_postgres(read: &postgres::Figures) -> Vec<Figure> {
    let life = life_of(read.started_s as f64);
    let mut figures: Vec<Figure> = Vec::new();
    let mut add = |kind: &str, value: f64, life| figures.push(Figure { metric: format!("{kind}.{PART}"), value, life });
    add("pg_connections", read.connections as f64, life);
    add("pg_locks", read.locks as f64, life);
    add("pg_waits", read.waiting as f64, life);
    // A server that crashed has forgotten its statistics.
    add("pg_dead", read.dead_rows as f64, life);
    if let Some(bytes) = read.dead_bytes {
        add("pg_bloat", bytes, life);
    }
    add("pg_db", read.database_bytes as f64, LASTING);
    if let Some((wal, temp)) = read.server_bytes {
        add("wal", wal as f64, LASTING);
        add("temp", temp as f64, life);
    }
    figures
}

/// Makes a life of the time at which something was started.
fn life_of(started_s: f64) -> u32 {
    // The lower bits of the time are as good a mark as all of it.
    (started_s as u64 % u64::from(u32::MAX)) as u32
}

fn lives(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(config: ObserveConfig) -> Outside {
        Outside::new(watch::channel(config).1, None)
    }

    fn family(outside: &Outside, name: &str, value: f64, counter: bool) -> Family {
        let wanted = outside.wanted().iter().position(|wanted| wanted.name == name).expect("a wanted metric");
        Family { wanted, value, counter }
    }

    fn told(figures: &[Figure]) -> Vec<(&str, f64, u32)> {
        figures.iter().map(|figure| (figure.metric.as_str(), figure.value, figure.life)).collect()
    }

    #[test]
    fn metrics_are_taken_by_what_they_mean() {
        let config = ObserveConfig { target_figures: vec!["queue".into(), "done_total".into()], ..Default::default() };
        let mut outside = outside(config);
        let wanted = outside.wanted();
        let of = |outside: &Outside, done: f64| {
            vec![
                family(outside, "done_total", done, true),
                family(outside, "queue", 7.0, false),
                family(outside, "jvm_threads_live_threads", 5.0, false),
                family(outside, "go_threads", 9.0, false),
                family(outside, STARTED, 1_760_000_000.0, false),
                family(outside, "process_resident_memory_bytes", 1e6, false),
                family(outside, "go_memstats_heap_inuse_bytes", 5e5, false),
            ]
        };
        let families = of(&outside, 10.0);
        let life = 1_760_000_000;
        let first = outside.of_metrics(Reader::Series, false, &wanted, &families);
        let all = [
            ("rss.target", 1e6, life),
            ("threads.target", 9.0, life),
            ("heap.target", 5e5, life),
            ("custom.queue", 7.0, life),
        ];
        assert_eq!(told(&first), all, "a counter says nothing at first");
        let later = of(&outside, 25.0);
        let second = outside.of_metrics(Reader::Series, true, &wanted, &later);
        assert_eq!(
            told(&second)[..2],
            [("heap.target", 5e5, life), ("custom.queue", 7.0, life)],
            "what /proc says is surer"
        );
        assert!(second[2].metric == "custom.done_total" && second[2].value > 0.0, "{second:?}");
        let cycle = outside.of_metrics(Reader::Cycle, true, &wanted, &later);
        assert_eq!(cycle.len(), 2, "each reader has its own rhythm");
        let back = of(&outside, 3.0);
        assert_eq!(
            outside.of_metrics(Reader::Series, true, &wanted, &back).len(),
            2,
            "a counter that went back was reset"
        );
    }

    #[tokio::test]
    async fn a_process_that_is_not_there_is_missing_and_not_zero() {
        let mut nobody = outside(ObserveConfig { target_pid: Some(u32::MAX), ..Default::default() });
        assert_eq!(nobody.part().await, None);
        assert!(nobody.missing()["observe.target_pid"].contains("no process"));
        let mut own = outside(ObserveConfig { target_pid: Some(std::process::id()), ..Default::default() });
        let part = own.part().await.expect("a part");
        assert_eq!((part.name.as_str(), part.pid), ("target", Some(std::process::id())));
        assert_eq!(outside(ObserveConfig::default()).part().await, None);
    }

    #[tokio::test]
    async fn sources_that_do_not_answer_leave_nothing_and_come_back() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/metrics", listener.local_addr().expect("an address"));
        let silent = "http://127.0.0.1:1/metrics".to_owned();
        let (tell, config) = watch::channel(ObserveConfig { target_metrics: Some(silent), ..Default::default() });
        let mut outside = Outside::new(config, None);
        assert_eq!(outside.figures(Reader::Series, false).await, []);
        assert!(outside.missing()["observe.target_metrics"].contains("refused"));
        let router = axum::Router::new().route("/metrics", axum::routing::get(|| async { "process_open_fds 12\n" }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        tell.send_modify(|config| config.target_metrics = Some(address));
        let figures = outside.figures(Reader::Series, false).await;
        assert_eq!(told(&figures), [("fds.target", 12.0, LASTING)]);
        assert!(outside.missing().is_empty());
    }
}
