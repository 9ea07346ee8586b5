//! The commands that ask a running daemon: the real program on one side, the real API on the other.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use soakd::clock::Clock;
use soakd::config::ApiConfig;
use soakd::engine::event::RunEvent;
use soakd::model::measure::CycleMeasures;
use soakd::model::record::{CycleRecord, Phase, RunRecord, ScaleRecord, Versions};
use soakd::model::status::{Control, DaemonState, Health, Usage};
use soakd::model::verdict::Verdict;
use soakd::observe::api::{ApiState, Command as Told, Server};
use soakd::observe::metrics::Metrics;
use soakd::observe::status::{StatusBook, keep};
use soakd::store::{Shared, Store};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

const RUN: &str = "019b7654-1111-7abc-8def-000000000001";
const START: i64 = 1_767_225_600_000;

fn run_record() -> RunRecord {
    RunRecord {
        run: RUN.to_owned(),
        name: "nightly".to_owned(),
        schedule: None,
        seed: 7,
        started_ms: START,
        ended_ms: None,
        config: BTreeMap::new(),
        scale: ScaleRecord {
            scale: "small".to_owned(),
            mode: "classic".to_owned(),
            provider: "native".to_owned(),
            target: "embedded".to_owned(),
            rls: true,
            rows: 1000,
            iterations: 5,
            databases: 2,
            users: 2,
            cycles_planned: Some(9),
            duration_planned_ms: None,
            steps_per_cycle: 360,
        },
        versions: Versions::default(),
        cycle: 2,
        phase: Phase::Load,
        observed_ms: 1000,
        verdict: None,
        criteria: String::new(),
        ended_because: None,
    }
}

fn cycle(no: u64) -> CycleRecord {
    CycleRecord {
        cycle: no,
        started_ms: START,
        ended_ms: START + 1000,
        load_ms: 1,
        settle_ms: 1,
        verify_ms: 1,
        checkpoint_us: 1,
        settle_rounds: 1,
        steps: 360,
        steps_planned: 360,
        errors: 0,
        rows_final: 1000,
        content: "3b1f".to_owned(),
        epoch: 1,
        server: String::new(),
        checks_digest: String::new(),
        previous: String::new(),
        digest: String::new(),
        verdict: Verdict::Pass,
        checks: Vec::new(),
    }
}

/// What the program said and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program; its commands end by themselves.
fn soakd(args: &[&str], state: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soakd"));
    command.args(args).arg("--state-dir").arg(state).stdin(Stdio::null());
    for name in ["SOAKD_CONFIG", "SOAKD_STATE_DIR", "SOAKD_SOCKET", "RUNTIME_DIRECTORY"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A daemon that has no engine but holds the state file and answers.
struct Daemon {
    dir: tempfile::TempDir,
    events: broadcast::Sender<RunEvent>,
    status: watch::Receiver<soakd::model::status::Status>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    commands: tokio::task::JoinHandle<Vec<Control>>,
}

impl Daemon {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.begin_run(&run_record()).unwrap();
        let mut measures = CycleMeasures { cycle: 1, at_ms: START + 900, ..CycleMeasures::default() };
        measures.note("rss.target", 2.5, 1);
        store.record_measures(RUN, &measures).unwrap();
        store.record_series(START + 900, &[("rss.daemon", 1.0)]).unwrap();
        store.finish_cycle(&run_record(), &cycle(1), &BTreeMap::new()).unwrap();
        let config = ApiConfig { socket: Some(dir.path().join("elsewhere.sock")), ..ApiConfig::default() };
        let server = Server::bind(&config, dir.path(), None).unwrap();
        let (events, for_status) = broadcast::channel(64);
        let (sender, mut status) = watch::channel(Default::default());
        let stop = CancellationToken::new();
        let book = StatusBook::new("/etc/soakd/soakd.toml", START);
        tokio::spawn(keep(book, Clock::default(), for_status, sender, stop.clone()));
        let (control, mut asked) = mpsc::channel::<Told>(4);
        let commands = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some((control, answer)) = asked.recv().await {
                let _ = answer.send(match &control {
                    Control::Trigger { schedule: Some(name) } => Err(format!("there is no schedule {name}")),
                    _ => Ok("so be it".to_owned()),
                });
                all.push(control);
            }
            all
        });
        let state = ApiState {
            store: Shared::new(store),
            clock: Clock::default(),
            status: status.clone(),
            events: events.clone(),
            control,
            metrics: Arc::new(Metrics::new()),
        };
        let served = tokio::spawn(server.serve(state, stop.clone()));
        for event in [
            RunEvent::Started { record: Box::new(run_record()), resumed_at: None, steps_recovered: 0 },
            RunEvent::Cycle(Box::new(cycle(1))),
            RunEvent::Phase { cycle: 2, phase: Phase::Load, steps: Some(360) },
            RunEvent::Progress { steps_done: 90, rows: 10, errors: 0 },
            RunEvent::Health(Box::new(Health {
                at_ms: START,
                parts: vec![Usage { part: "daemon".to_owned(), rss_bytes: 1 << 25, ..Usage::default() }],
                ..Health::default()
            })),
            RunEvent::State(DaemonState::Paused, vec!["low disk".to_owned()]),
        ] {
            events.send(event).unwrap();
        }
        status.wait_for(|status| status.state == DaemonState::Paused).await.unwrap();
        Self { dir, events, status, stop, served, commands }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    async fn end(self) -> (tempfile::TempDir, Vec<Control>) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
        (self.dir, self.commands.await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_running_daemon_answers_for_the_state_file_that_it_holds() {
    let daemon = Daemon::start().await;
    let state = daemon.state();
    let page = soakd(&["status"], &state);
    assert_eq!(page.code, Some(0), "{}", page.err);
    for part in [
        "State      paused: low disk\n",
        "nightly (019b7654-1111-7abc-8def-000000000001), seed 7",
        "Cycle      2 of 9, load, 90 of 360 steps (25 %)\n",
        "Verdict    PASS (1 PASS)\n",
        "Incidents  0 open\n",
        "Memory     daemon 32.0 MiB\n",
    ] {
        assert!(page.out.contains(part), "no {part:?} in\n{}", page.out);
    }
    let top = soakd(&["top"], &state);
    assert_eq!(top.code, Some(64), "it has no terminal here: {}", top.out);
    assert!(top.err.contains("`soakd status` shows one look"), "{}", top.err);
    let json: Value = serde_json::from_str(&soakd(&["status", "--format", "json"], &state).out).unwrap();
    assert_eq!((&json["board"]["target"], &json["board"]["checks_of"]), (&"embedded".into(), &1.into()));
    assert_eq!((&json["state"], &json["run"]["cycle"]), (&"paused".into(), &2.into()));
    let runs: Value = serde_json::from_str(&soakd(&["runs", "--format", "json"], &state).out).unwrap();
    assert_eq!(runs["runs"][0]["run"], RUN);
    let report = soakd(&["report", "019b", "--format", "json"], &state);
    assert_eq!(report.code, Some(0), "{}", report.err);
    assert_eq!(serde_json::from_str::<Value>(&report.out).unwrap()["cycles_done"], 1);
    assert!(report.err.is_empty(), "as of now, not of the last checkpoint: {}", report.err);
    let none = soakd(&["incidents"], &state);
    assert_eq!((none.code, none.out.as_str()), (Some(0), "No incident is open.\n"));
    let lost = soakd(&["incidents", "7"], &state);
    assert!(lost.code == Some(2) && lost.err.contains("there is no incident 7"), "{}", lost.err);
    assert_eq!(daemon.status.borrow().incidents_open, 0);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_that_goes_on_is_exported_and_its_receipt_is_open() {
    let daemon = Daemon::start().await;
    let state = daemon.state();
    let json = soakd(&["export", "--format", "json"], &state);
    assert_eq!(json.code, Some(0), "{}", json.err);
    let read: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&read["runs"][0]["run"], &read["cycles"][0]["cycle"]), (&RUN.into(), &1.into()));
    assert_eq!(read["measures"][0]["mean"], 2.5);
    assert_eq!(read["series"][0]["metric"], "rss.daemon");
    let receipt = state.join("run.receipt");
    let args = ["export", "019b", "--format", "receipt", "--out", receipt.to_str().unwrap()];
    let written = soakd(&args, &state);
    assert_eq!(written.code, Some(0), "{}", written.err);
    let again = soakd(&args, &state);
    assert!(again.code == Some(64) && again.err.contains("--force"), "{}", again.err);
    let said = verify(&[receipt.to_str().unwrap()]);
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    let head = written.out.trim().rsplit(' ').next().unwrap().to_owned();
    let report = soakd(&["report", "--format", "text"], &state);
    assert!(said.out.contains(&head) && report.out.contains(&head), "{}\n{}", said.out, report.out);
    let said = verify(&[receipt.to_str().unwrap(), "--head", &head]);
    assert!(said.code == Some(2) && said.out.contains("nothing before it was changed"), "{}", said.out);
    let text = std::fs::read_to_string(&receipt).unwrap();
    std::fs::write(&receipt, text.replace("\"errors\":0", "\"errors\":1")).unwrap();
    let said = verify(&[receipt.to_str().unwrap()]);
    assert!(said.code == Some(1) && said.out.contains("line 2: edited: it says that it is cycle 1"), "{}", said.out);
    assert_eq!(verify(&["/dev/null"]).code, Some(64));
    daemon.end().await;
}

/// Runs `soakd verify`, which reads no state.
fn verify(args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_soakd")).arg("verify").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn commands_are_given_and_refusals_are_told() {
    let daemon = Daemon::start().await;
    let state = daemon.state();
    for args in
        [&["pause", "--reason", "backup"][..], &["resume"], &["trigger"], &["stop"], &["stop", "--now"], &["reload"]]
    {
        let said = soakd(args, &state);
        assert_eq!((said.code, said.out.as_str()), (Some(0), "so be it\n"), "{args:?}: {}", said.err);
    }
    let refused = soakd(&["trigger", "nights"], &state);
    assert_eq!((refused.code, refused.err.as_str()), (Some(1), "soakd: there is no schedule nights\n"));
    let (_dir, told) = daemon.end().await;
    let expected = [
        Control::Pause { reason: "backup".to_owned() },
        Control::Resume,
        Control::Trigger { schedule: None },
        Control::Stop { now: false },
        Control::Stop { now: true },
        Control::Reload,
        Control::Trigger { schedule: Some("nights".to_owned()) },
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn events_are_followed_until_the_daemon_ends() {
    use std::io::{BufRead, BufReader};
    let daemon = Daemon::start().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_soakd"))
        .args(["events", "--format", "json", "--socket"])
        .arg(daemon.state().join("soakd.sock"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!((&first["kind"], &first["data"]["state"]), (&"status".into(), &"paused".into()));
    daemon.events.send(RunEvent::Log("a line".to_owned())).unwrap();
    let second: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(second["data"]["line"], "a line");
    daemon.end().await;
    assert_eq!(lines.next(), None);
    assert_eq!(child.wait().unwrap().code(), Some(69));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn without_a_daemon_the_state_file_answers_and_commands_say_what_to_do() {
    let (dir, _) = Daemon::start().await.end().await;
    // The store is closed when the last part of the API is gone.
    let page = loop {
        let page = soakd(&["status"], dir.path());
        if !page.err.contains("holds the state file") {
            break page;
        }
    };
    assert_eq!(page.code, Some(69), "{}", page.err);
    assert!(page.out.contains("No soakd runs.") && page.out.contains("nightly (019b7654"), "{}", page.out);
    let json: Value = serde_json::from_str(&soakd(&["status", "--format", "json"], dir.path()).out).unwrap();
    assert_eq!((&json["daemon"], &json["run"]["run"]), (&Value::Null, &RUN.into()));
    assert_eq!(soakd(&["incidents", "--all"], dir.path()).out, "There was no incident yet.\n");
    let top = soakd(&["top"], dir.path());
    assert!(top.code == Some(69) && top.out.contains("No soakd runs."), "{}{}", top.out, top.err);
    for command in ["pause", "resume", "trigger", "stop", "reload", "events"] {
        let said = soakd(&[command], dir.path());
        assert_eq!(said.code, Some(69), "{command}: {}", said.err);
        assert!(said.err.contains("no soakd answers on") && said.err.contains("soakd run"), "{}", said.err);
    }
    let empty = tempfile::tempdir().unwrap();
    let nothing = soakd(&["status"], empty.path());
    assert!(nothing.code == Some(2) && nothing.err.contains("give the --state-dir"), "{}", nothing.err);
}

#[test]
fn a_socket_that_accepts_and_never_answers_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(dir.path().join("soakd.sock")).unwrap();
    let accepting = std::thread::spawn(move || {
        // The first connection only finds out whether somebody listens; the second one is the question.
        let _first = listener.accept().unwrap();
        let (_second, _) = listener.accept().unwrap();
        // It hangs up without a word.
    });
    let said = soakd(&["status"], dir.path());
    assert_eq!(said.code, Some(69), "{}", said.err);
    assert!(said.err.contains("did not answer"), "{}", said.err);
    accepting.join().unwrap();
}
