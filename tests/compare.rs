//! Runs that are compared by the real program: with the baseline when they end, and by `soakd compare`.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
#[path = "support/soak.rs"]
mod soak;

use std::path::Path;

use serde_json::Value;
use soak::soakd;

/// A state directory in which several runs are made one after another.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("soakd-test").tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Makes a run, whose server says that it is this version, and returns its id.
    fn run(&self, version: &str, cycles: u64, rows: u32, plants: &[&str]) -> String {
        std::fs::write(self.path("version"), format!("{version}\n")).unwrap();
        let (state, file) = (self.path("state"), self.path("version"));
        let config = format!(
            "[run]\nseed = 7\ncycles = {cycles}\nstate_dir = {state:?}\n\
             [workload.sync]\nscale = \"custom\"\nrows = {rows}\niterations = 1\ndatabases = 2\n\
             [verify]\nisolation = false\n[observe.version]\ncommand = [\"cat\", {file:?}]\n"
        );
        std::fs::write(self.path("soakd.toml"), config).unwrap();
        let mut args =
            vec!["run".to_owned(), "--plain".into(), "-c".into(), self.path("soakd.toml"), "--testing".into()];
        plants.iter().for_each(|plant| args.extend(["--plant".to_owned(), (*plant).to_owned()]));
        let (code, out, err) = soakd(&args, &[]);
        assert_eq!(code, Some(0), "{out}\n{err}");
        let (_, out, _) = self.ask(&["runs", "--format", "json"]);
        let runs: Value = serde_json::from_str(&out).unwrap();
        runs["runs"][0]["run"].as_str().unwrap().to_owned()
    }

    fn ask(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(["--state-dir".to_owned(), self.path("state")]);
        soakd(&args, &[])
    }

    fn report(&self, run: &str) -> Value {
        let (code, out, err) = self.ask(&["report", run, "--format", "json"]);
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str(&out).unwrap()
    }

    /// Returns title and state of the incidents about regressions.
    fn incidents(&self) -> Vec<(String, String)> {
        let (_, out, err) = self.ask(&["incidents", "--all", "--format", "json"]);
        let all: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out} {err}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let all = all["incidents"].as_array().unwrap().iter().filter(|incident| incident["cause"] == "regression");
        all.map(|incident| (text(&incident["title"]), text(&incident["state"]))).collect()
    }
}

#[test]
fn a_slower_build_is_worse_than_the_baseline_and_opens_one_incident() {
    let bench = Bench::new();
    // Many times slower, so that it shows beside whatever else the machine does.
    let slower = ["base-latency=20ms", "slow-down=900"];
    let first = bench.run("7a1b", 14, 20, &["base-latency=20ms"]);
    let (code, out, err) = bench.ask(&["baseline", "set", &first]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with(&format!("later runs are compared with run {first}")), "{out}");
    assert_eq!(bench.ask(&["baseline", "show"]).1, format!("run {first} (soak), server 7a1b\n"));

    let second = bench.run("8f3c", 14, 20, &slower);
    let report = bench.report(&second);
    assert_eq!(report["cycles"][0]["server"], "8f3c", "{report:#}");
    assert_eq!(report["run"]["versions"]["server"], "8f3c");
    let baseline = &report["baseline"];
    assert_eq!((&baseline["baseline"], &baseline["baseline_server"]), (&first.clone().into(), &"7a1b".into()));
    let changes = baseline["changes"].as_array().unwrap();
    let worse: Vec<&str> =
        changes.iter().filter(|c| c["change"] == "worse").map(|c| c["metric"].as_str().unwrap()).collect();
    assert!(worse.contains(&"latency_p50.sent"), "{baseline:#}");
    let incidents = bench.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert!(incidents[0].0.contains("since server version 8f3c (baseline run"), "{incidents:?}");
    assert_eq!(incidents[0].1, "open");
    assert!(bench.ask(&["report", &second]).1.contains("\nBaseline\n"));

    // The same once more is the same incident.
    bench.run("8f3c", 14, 20, &slower);
    assert_eq!(bench.incidents().len(), 1);

    let (code, out, err) = bench.ask(&["compare", "baseline", &second]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.starts_with("WORSE"), "{out}");
    let (_, out, err) = bench.ask(&["compare", "--format", "json", &second, &first]);
    let all: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out} {err}"));
    let changes = all["compared"][0]["comparison"]["changes"].as_array().unwrap_or_else(|| panic!("{all:#}"));
    let sent = changes.iter().find(|c| c["metric"] == "latency_p50.sent").unwrap();
    assert_eq!(sent["change"], "better", "the other way round it is better: {all:#}");
    // Whoever makes it the baseline has seen it.
    assert_eq!(bench.ask(&["baseline", "set", &second]).0, Some(0));
    assert_eq!(bench.incidents()[0].1, "resolved");
    assert!(bench.ask(&["baseline", "clear"]).1.contains("is not the baseline any more"));
    assert_eq!(bench.ask(&["baseline", "show"]).0, Some(2));
}

#[test]
fn what_cannot_be_compared_is_said_in_words() {
    let bench = Bench::new();
    let first = bench.run("a", 2, 20, &[]);
    let other = bench.run("a", 1, 30, &[]);
    let (code, out, err) = bench.ask(&["compare", &first, &other]);
    assert_eq!(code, Some(64), "{out}{err}");
    assert!(out.contains("workload.sync.rows is 20 in the one and 30 in the other"), "{out}");
    let (code, out, _) = bench.ask(&["compare", "--anyway", &first, &other]);
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("pairs of cycles after the warm-up"), "{out}");
    for (args, why) in [
        (&["compare", first.as_str(), first.as_str()][..], "is compared with itself"),
        (&["compare", first.as_str(), "nothing"], "there is no run \"nothing\""),
        (&["compare", "baseline", first.as_str()], "no baseline is set"),
        (&["compare", first.as_str()], "RUN"),
    ] {
        let (code, out, err) = bench.ask(args);
        assert_eq!(code, Some(64), "{args:?} {out}{err}");
        assert!(out.contains(why) || err.contains(why), "{args:?} {out}{err}");
    }
    assert!(Path::new(&bench.path("state")).exists());
}
