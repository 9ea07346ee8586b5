//! Runs the real daemon on a small configuration of its own, and reads what it reports.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time that one run may take.
const RUN_MAX: Duration = Duration::from_secs(400);

/// A small soak.
#[derive(Debug, Clone)]
pub(crate) struct Soak {
    pub(crate) seed: u64,
    pub(crate) cycles: u64,
    pub(crate) rows: u32,
    pub(crate) iterations: u32,
    pub(crate) databases: u32,
    pub(crate) databases_per_worker: Option<u32>,
    pub(crate) mode: &'static str,
    pub(crate) pace: &'static str,
    pub(crate) rls: bool,
    /// More keys of the workload.
    pub(crate) workload: &'static str,
    /// More sections and keys of the configuration.
    pub(crate) more: String,
    pub(crate) plants: Vec<&'static str>,
    /// How many times as fast the daemon's clock runs.
    pub(crate) time_scale: Option<u32>,
    pub(crate) env: Vec<(String, String)>,
}

impl Default for Soak {
    fn default() -> Self {
        Self {
            seed: 7,
            cycles: 1,
            rows: 60,
            iterations: 3,
            databases: 4,
            databases_per_worker: None,
            mode: "classic",
            pace: "lockstep",
            rls: true,
            workload: "",
            more: String::new(),
            plants: Vec::new(),
            time_scale: None,
            env: Vec::new(),
        }
    }
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// The report as JSON; null if the run left none.
    pub(crate) report: Value,
    dir: tempfile::TempDir,
    soak: Soak,
}

impl Soak {
    /// Runs it to its end.
    pub(crate) fn run(&self) -> Ended {
        let dir = tempfile::Builder::new().prefix("soakd-test").tempdir().unwrap();
        let state = dir.path().join("state");
        let Self { seed, cycles, rows, iterations, databases, mode, pace, rls, workload, more, .. } = self;
        let per_worker =
            self.databases_per_worker.map_or_else(String::new, |n| format!("databases_per_worker = {n}\n"));
        let config = format!(
            "[run]\nseed = {seed}\ncycles = {cycles}\nstate_dir = {state:?}\n{per_worker}\
             [workload.sync]\nscale = \"custom\"\nrows = {rows}\niterations = {iterations}\ndatabases = {databases}\n\
             mode = \"{mode}\"\npace = \"{pace}\"\nrls = {rls}\nwait = \"5ms\"\n{workload}\n[log]\nlevel = \"info\"\nrepeats = \"0s\"\n{more}\n"
        );
        let file = dir.path().join("soakd.toml");
        std::fs::write(&file, config).unwrap();
        let mut args = vec!["run".to_owned(), "--plain".into(), "-c".into(), file.display().to_string()];
        for plant in &self.plants {
            args.extend(["--plant".to_owned(), (*plant).to_owned()]);
        }
        if let Some(scale) = self.time_scale {
            args.extend(["--time-scale".to_owned(), scale.to_string()]);
        }
        if !self.plants.is_empty() || self.time_scale.is_some() {
            args.push("--testing".into());
        }
        let (code, out, err) = soakd(&args, &self.env);
        let report = report_in(&state);
        Ended { code, out, err, report, dir, soak: self.clone() }
    }
}

/// Runs the program and waits for it, with a deadline.
pub(crate) fn soakd(args: &[String], env: &[(String, String)]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_soakd"))
        .args(args)
        .envs(env.iter().map(|(k, v)| (k, v)))
        .env_remove("SOAKD_STATE_DIR")
        .env_remove("SOAKD_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reading = [std::thread::spawn(move || read(&mut out)), std::thread::spawn(move || read(&mut err))];
    let until = Instant::now() + RUN_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() >= until {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let [out, err] = reading.map(|thread| thread.join().unwrap());
    let status = status.unwrap_or_else(|| panic!("soakd {args:?} did not end within {RUN_MAX:?}:\n{out}\n{err}"));
    (status.code(), out, err)
}

fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn report_in(state: &Path) -> Value {
    let runs = std::fs::read_dir(state.join("reports")).into_iter().flatten().flatten();
    let text = runs.filter_map(|run| std::fs::read(run.path().join("report.json")).ok()).next();
    text.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
}

#[allow(dead_code)]
impl Ended {
    pub(crate) fn state(&self) -> String {
        self.dir.path().join("state").display().to_string()
    }

    pub(crate) fn config(&self) -> String {
        self.dir.path().join("soakd.toml").display().to_string()
    }

    /// Everything that is needed to see why an assertion failed.
    pub(crate) fn story(&self) -> String {
        format!("{:?}\nexit code {:?}\n{}\n{}", self.soak, self.code, self.out, self.err)
    }

    pub(crate) fn cycle(&self, cycle: u64) -> &Value {
        let cycles = self.report["cycles"].as_array().map_or(&[][..], Vec::as_slice);
        cycles.iter().find(|c| c["cycle"] == cycle).unwrap_or_else(|| panic!("no cycle {cycle}: {}", self.story()))
    }

    pub(crate) fn check(&self, cycle: u64, name: &str) -> &Value {
        let checks = self.cycle(cycle)["checks"].as_array().unwrap();
        checks.iter().find(|c| c["check"] == name).unwrap_or_else(|| panic!("no check {name}: {}", self.story()))
    }

    /// Names of the checks of a cycle with this verdict; "none" stands for not exercised.
    pub(crate) fn checks(&self, cycle: u64, verdict: &str) -> BTreeSet<String> {
        let checks = self.cycle(cycle)["checks"].as_array().unwrap();
        let has = |check: &&Value| check["verdict"].as_str().unwrap_or("none") == verdict;
        checks.iter().filter(has).map(|c| c["check"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn evidence(&self, cycle: u64, name: &str) -> Vec<String> {
        let lines = self.check(cycle, name)["evidence"].as_array().unwrap();
        lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// Rows that a convergence check blames: (class, key, place).
    pub(crate) fn blamed(&self, cycle: u64, name: &str) -> Vec<(String, String, String)> {
        self.evidence(cycle, name)
            .iter()
            .map(|line| {
                let (class, rest) = line.split_once(": ").expect("a class first");
                let (key, rest) = rest.split_once(" in ").expect("a place after the key");
                let (place, _) = rest.split_once(": ").expect("a detail after the place");
                let place = place.split_once(" and the ").map_or(place, |(place, _)| place);
                (class.to_owned(), key.to_owned(), place.to_owned())
            })
            .collect()
    }

    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.story());
    }

    /// Asserts that the run passed, with nothing but these checks not exercised.
    pub(crate) fn assert_passed(&self, not_exercised: &[&str]) {
        self.assert_code(0);
        for cycle in 1..=self.soak.cycles {
            assert_eq!(self.cycle(cycle)["verdict"], "pass", "{}", self.story());
            let open = self.checks(cycle, "none");
            assert_eq!(open.iter().map(String::as_str).collect::<Vec<_>>(), not_exercised, "{}", self.story());
        }
    }
}
