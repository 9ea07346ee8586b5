//! Self-care on the real machine and on one that is made up: what is told, when cycles wait, and what is forgotten.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use soakd::clock::Clock;
use soakd::config::{Bytes, LimitsConfig, ObserveConfig, RetentionConfig, Span};
use soakd::engine::event::RunEvent;
use soakd::engine::measure::part::{Part, Scene};
use soakd::engine::selfcare::look::{Host, Look, Machine, Sampler};
use soakd::engine::selfcare::retention::{self, Rows, Swept, sweep};
use soakd::engine::selfcare::{Listener, Wires, watch};
use soakd::model::finding::Finding;
use soakd::model::record::{Phase, RunRecord, ScaleRecord, Versions};
use soakd::model::series::Moment;
use soakd::model::verdict::Verdict;
use soakd::probe::clock::Clocks;
use soakd::probe::process::Reading;
use soakd::store::{Shared, Store};
use tokio::sync::{Notify, broadcast, watch as watched};
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1 << 20;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A machine whose free space goes down and up again, one value a look; the last one stays.
struct MadeUp {
    free_mib: Vec<u64>,
    looks: usize,
}

impl Machine for MadeUp {
    fn process(&mut self, _: &str, _: u32, _: bool) -> Option<Reading> {
        None
    }

    fn disk_free(&mut self) -> Option<u64> {
        let free = self.free_mib[self.looks.min(self.free_mib.len() - 1)];
        self.looks += 1;
        Some(free * MIB)
    }

    fn state_file(&mut self) -> u64 {
        MIB
    }

    fn state_dir(&mut self, _: &dyn Fn() -> bool) -> Option<u64> {
        Some(MIB)
    }

    fn clocks(&mut self) -> Option<Clocks> {
        let ms = self.looks as i64 * 10;
        // Somebody sets the clock back by an hour at the fifth look.
        let wall_ms = if self.looks >= 5 { ms - 3_600_000 } else { ms };
        Some(Clocks { wall_ms, boot_ms: ms, awake_ms: ms })
    }
}

/// What self-care told.
#[derive(Clone, Default)]
struct Told {
    findings: Arc<Mutex<Vec<Finding>>>,
    series: Arc<Mutex<Vec<Moment>>>,
}

impl Told {
    fn listener(&self) -> Listener {
        let findings = Arc::clone(&self.findings);
        Listener { findings: Arc::new(move |found| findings.lock().unwrap().extend(found)), cycle: Arc::new(|| 7) }
    }

    fn codes(&self) -> Vec<String> {
        self.findings.lock().unwrap().iter().filter_map(|finding| finding.code.clone()).collect()
    }
}

/// Returns a scene of processes.
fn scene<const N: usize>(parts: [(&str, u32); N]) -> Scene {
    let part = |(name, pid): (&str, u32)| Part { name: name.into(), pid: Some(pid), databases: Vec::new() };
    Scene { parts: parts.map(part).into(), ..Scene::default() }
}

/// Everything that self-care is connected to in these tests.
struct Bench {
    told: Told,
    events: broadcast::Receiver<RunEvent>,
    pause: watched::Receiver<Option<String>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(state_dir: &Path, scene: Scene, machine: impl Machine) -> Bench {
    let told = Told::default();
    let (events, received) = broadcast::channel(1024);
    let (pause, paused) = watched::channel(None);
    let series = Arc::clone(&told.series);
    let every = Span::from_millis(5);
    let limits = LimitsConfig { every, ..LimitsConfig::default() };
    let wires = Wires {
        state_dir: state_dir.to_owned(),
        clock: Clock::default(),
        limits: watched::channel(limits).1,
        observe: watched::channel(ObserveConfig { every, ..ObserveConfig::default() }).1,
        scene: Box::new(move || scene.clone()),
        series: Arc::new(move |moments| series.lock().unwrap().extend(moments)),
        judged: Box::new(|| {}),
        listener: told.listener(),
        events,
        pause,
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn(watch(wires, machine, stop.clone()));
    Bench { told, events: received, pause: paused, stop, task }
}

#[tokio::test]
async fn the_real_machine_is_measured_and_well() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap();
    let mut child = std::process::Command::new("sleep").arg("600").stdout(std::process::Stdio::null()).spawn().unwrap();
    // Until it is another program, it has next to no memory of its own.
    let statm = format!("/proc/{}/statm", child.id());
    while std::fs::read_to_string(&statm).unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() < 50 {
        tokio::task::yield_now().await;
    }
    let scene = scene([("worker-1", child.id()), ("worker-2", u32::MAX)]);
    let mut bench = start(dir.path(), scene, Host::new(dir.path().to_owned()));
    for _ in 0..5 {
        let RunEvent::Health(health) = bench.events.recv().await.unwrap() else { panic!("something else") };
        let parts: Vec<(&str, u32)> = health.parts.iter().map(|usage| (usage.part.as_str(), usage.pid)).collect();
        assert_eq!(parts, [("daemon", std::process::id()), ("worker-1", child.id())], "one that is gone is left out");
        assert!(health.parts.iter().all(|usage| usage.rss_bytes > 100_000 && usage.pss_bytes > 10_000), "{health:?}");
        assert!(health.disk_free_bytes > 0 && health.state_file_bytes > 0);
        assert!(health.state_dir_bytes > 0 && health.at_ms > 0);
    }
    bench.stop.cancel();
    bench.task.await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The machine that tests run on may be short of space; soakd itself is not short of anything.
    assert!(bench.told.codes().iter().all(|code| code.starts_with("own.disk")), "{:?}", bench.told.codes());
    let moments = bench.told.series.lock().unwrap().clone();
    assert!(moments.len() >= 5, "samples that wait are written at the end");
    let names: BTreeSet<&str> = moments[0].values.iter().map(|(name, _)| name.as_str()).collect();
    for name in
        ["rss.daemon", "anon.daemon", "heap.daemon", "fds_file.worker-1", "rss.worker-1", "disk.free", "state.file"]
    {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.ends_with("worker-2") || name.starts_with("cpu")), "{names:?}");
    assert!(moments[1].values.iter().any(|(name, value)| name == "cpu.daemon" && *value >= 0.0), "{:?}", moments[1]);
}

#[tokio::test]
async fn cycles_wait_while_the_disk_is_nearly_full() {
    let free_mib = vec![9000, 9000, 300, 300, 520, 300, 600, 600];
    let mut bench = start(Path::new("/var/lib/soakd"), Scene::default(), MadeUp { free_mib, looks: 0 });
    let why = bench.pause.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert_eq!(
        why,
        "only 300MiB are free in /var/lib/soakd (limits.disk_pause is 512MiB); cycles wait until there is more"
    );
    bench.pause.wait_for(Option::is_none).await.unwrap();
    bench.stop.cancel();
    bench.task.await.unwrap();
    let mut codes = bench.told.codes();
    codes.sort();
    // That there is little space is said for itself, once there is more than hardly any.
    assert_eq!(codes, ["own.clock", "own.disk_pause", "own.disk_warn"], "{:?}", bench.told.findings);
    let findings = bench.told.findings.lock().unwrap();
    assert!(findings.iter().all(|finding| finding.is_own() && finding.tolerated && finding.cycle == 7));
}

fn id(n: u64) -> String {
    uuid::Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | n).hyphenated().to_string()
}

fn run(n: u64, started_ms: i64, verdict: Option<Verdict>) -> RunRecord {
    RunRecord {
        run: id(n),
        name: "test".into(),
        schedule: None,
        seed: 7,
        started_ms,
        ended_ms: verdict.map(|_| started_ms + 1),
        config: BTreeMap::new(),
        scale: ScaleRecord {
            scale: "small".into(),
            mode: "classic".into(),
            provider: "native".into(),
            target: "embedded".into(),
            rls: true,
            rows: 1,
            iterations: 1,
            databases: 1,
            users: 1,
            cycles_planned: None,
            duration_planned_ms: None,
            steps_per_cycle: 1,
        },
        versions: Versions::default(),
        cycle: 1,
        phase: Phase::Done,
        observed_ms: 0,
        verdict,
        criteria: String::new(),
        ended_because: None,
    }
}

/// Makes a state directory with these runs, each with a database and a report.
fn state(dir: &Path, runs: &[RunRecord]) -> Shared {
    let mut store = Store::open(dir).unwrap();
    for run in runs {
        store.begin_run(run).unwrap();
        for kind in ["runs", "reports"] {
            let own = dir.join(kind).join(&run.run);
            std::fs::create_dir_all(&own).unwrap();
            std::fs::write(own.join("file"), vec![1; 10_000]).unwrap();
        }
    }
    Shared::new(store)
}

fn names(dir: PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn keep(runs: u32, databases: u32) -> RetentionConfig {
    RetentionConfig { runs, databases, ..RetentionConfig::default() }
}

fn swept(rows: &Shared, dir: &Path, keep: &RetentionConfig) -> Swept {
    sweep(rows, dir, keep, 1_000, &|| false)
}

const PASS: Option<Verdict> = Some(Verdict::Pass);

#[test]
fn what_had_its_time_goes_and_a_second_sweep_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let runs =
        [run(5, 50, None), run(4, 40, PASS), run(3, 30, PASS), run(2, 20, Some(Verdict::Fail)), run(1, 10, PASS)];
    let rows = state(dir.path(), &runs);
    std::fs::create_dir_all(dir.path().join("logs")).unwrap();
    for log in ["workers.log", "workers.log.1", "notes.txt"] {
        std::fs::write(dir.path().join("logs").join(log), "x").unwrap();
    }
    let keep = RetentionConfig { logs: Bytes::mib(0), ..keep(4, 2) };
    let first = swept(&rows, dir.path(), &keep);
    assert_eq!((first.runs, first.databases, first.reports, first.logs), (1, 2, 1, 1), "{first:?}");
    assert!(first.errors.is_empty() && first.bytes >= 30_000);
    assert_eq!(rows.runs().unwrap().len(), 4);
    assert_eq!(
        names(dir.path().join("runs")),
        [id(2), id(4), id(5)],
        "a failing run's databases stay before a passing one's"
    );
    assert_eq!(names(dir.path().join("reports")), [id(2), id(3), id(4), id(5)]);
    assert_eq!(names(dir.path().join("logs")), ["notes.txt", "workers.log"]);
    assert_eq!(swept(&rows, dir.path(), &keep), Swept::default());
}

#[test]
fn only_what_is_named_like_a_run_goes_and_links_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let rows = state(dir.path(), &[run(9, 90, None)]);
    let outside = dir.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("precious"), "x").unwrap();
    let base = dir.path().join("runs");
    let old = std::time::SystemTime::now() - std::time::Duration::from_millis(2 * DAY_MS as u64);
    for name in [id(1), id(1).to_uppercase().replace('0', "A"), "notes".into()] {
        std::fs::create_dir_all(base.join(&name)).unwrap();
        symlink(&outside, base.join(&name).join("link")).unwrap();
        std::fs::File::open(base.join(&name)).unwrap().set_modified(old).unwrap();
    }
    std::fs::create_dir_all(base.join(id(2))).unwrap();
    symlink(&outside, base.join(id(3))).unwrap();
    let done = swept(&rows, dir.path(), &keep(100, 3));
    assert_eq!((done.databases, done.reports), (1, 0), "{done:?}");
    assert!(!base.join(id(1)).exists(), "nobody's, and older than a day");
    for name in [id(2), id(3), id(9), "notes".into()] {
        assert!(base.join(&name).symlink_metadata().is_ok(), "{name}");
    }
    assert!(outside.join("precious").exists());
}

#[test]
fn a_linked_directory_of_runs_is_left_alone_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let rows = state(dir.path(), &[run(2, 20, PASS), run(1, 10, PASS)]);
    std::fs::rename(dir.path().join("runs"), dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), dir.path().join("runs")).unwrap();
    let done = swept(&rows, dir.path(), &keep(1, 0));
    assert!(done.databases == 0 && done.errors.len() == 1 && done.errors[0].contains("a link"), "{done:?}");
    assert_eq!(names(dir.path().join("elsewhere")).len(), 2);
}

#[test]
fn a_run_whose_files_cannot_go_is_kept_to_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let rows = state(dir.path(), &[run(2, 20, PASS), run(1, 10, PASS)]);
    // Not a directory when its turn comes: somebody put a link there after the survey.
    struct Late<'a>(&'a Shared, PathBuf);
    impl Rows for Late<'_> {
        fn runs(&self) -> Result<Vec<RunRecord>, soakd::store::StoreError> {
            std::fs::remove_dir_all(&self.1).unwrap();
            symlink("/", &self.1).unwrap();
            self.0.runs()
        }
        fn baseline(&self) -> Result<Option<String>, soakd::store::StoreError> {
            self.0.baseline()
        }
        fn forget_some(&self, run: &str) -> Result<u64, soakd::store::StoreError> {
            self.0.forget_some(run)
        }
    }
    let late = Late(&rows, dir.path().join("reports").join(id(1)));
    let done = sweep(&late, dir.path(), &keep(1, 3), 1_000, &|| false);
    assert!(done.runs == 0 && done.errors.len() == 1 && done.errors[0].contains(&id(1)), "{done:?}");
    assert_eq!(rows.runs().unwrap().len(), 2);
    assert!(Path::new("/etc").exists());
    std::fs::remove_file(dir.path().join("reports").join(id(1))).unwrap();
    assert_eq!(swept(&rows, dir.path(), &keep(1, 3)).runs, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_year_forgets_run_by_run() {
    let dir = tempfile::tempdir().unwrap();
    let now = chrono::Utc::now().timestamp_millis();
    let runs: Vec<RunRecord> = (0..5u64).map(|n| run(n, now + (n as i64 - 10) * DAY_MS, PASS)).collect();
    let rows = state(dir.path(), &runs);
    // A day passes in some 29 milliseconds.
    let clock = Clock::fast(now, 3_000_000);
    let keep = RetentionConfig { age: Span::from_secs(30 * 24 * 3600), ..RetentionConfig::default() };
    let (told, stop) = (Told::default(), CancellationToken::new());
    let wires = retention::Wires {
        state_dir: dir.path().to_owned(),
        clock,
        keep: watched::channel(keep).1,
        rows: Arc::new(rows.clone()),
        ended: Arc::new(Notify::new()),
        listener: told.listener(),
    };
    let task = tokio::spawn(retention::keep_up(wires, stop.clone()));
    let mut last = 5;
    while last > 1 {
        let left = rows.runs().unwrap().len();
        assert!(left <= last && left >= 1);
        last = left;
        clock.sleep(std::time::Duration::from_secs(3600)).await;
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(rows.runs().unwrap()[0].run, id(4), "the newest one stays, however old");
    assert_eq!((names(dir.path().join("runs")), names(dir.path().join("reports"))), (vec![id(4)], vec![id(4)]));
    assert!(told.codes().is_empty(), "{:?}", told.codes());
}

#[test]
fn what_the_target_says_of_itself_is_taken_over_once_and_shown_as_long_as_it_says_it() {
    let mut sampler = Sampler::new(MadeUp { free_mib: vec![9000], looks: 0 });
    let told = |taken| Scene { parts: Vec::new(), figures: vec![("custom.queue".into(), 7.0)], taken };
    let sampled = |look: &Look| look.figures.iter().any(|(name, _)| name == "custom.queue");
    let shown = |look: &Look| look.health.figures.get("custom.queue").copied();
    let first = sampler.look(&told(1), 0, &|| false);
    assert!(sampled(&first) && shown(&first) == Some(7.0));
    let again = sampler.look(&told(1), 1, &|| false);
    assert!(!sampled(&again) && shown(&again) == Some(7.0), "the same answer is no second sample");
    assert!(sampled(&sampler.look(&told(2), 2, &|| false)));
    let silent = sampler.look(&Scene { figures: Vec::new(), ..told(3) }, 3, &|| false);
    assert!(!sampled(&silent) && shown(&silent).is_none(), "what cannot be read any more is not shown");
    assert_eq!(silent.health.figures.keys().collect::<Vec<_>>(), ["disk.free", "state.file"]);
}
