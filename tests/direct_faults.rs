//! Databases that are driven directly and break: a server that is killed and started again, a server that stops answering, a
//! daemon that is killed, and bad input of every kind.

#![allow(clippy::unwrap_used)]

#[path = "../src/target/cluster.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod cluster;
#[path = "support/direct.rs"]
mod direct;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::Cluster;
use direct::Direct;

fn passes(name: &str, ended: &direct::Ended) {
    ended.assert_code(0);
    for check in ["bank.money", "bank.balances", "bank.transfers", "bank.batches", "bank.accounts", "bank.journal"] {
        assert_eq!(ended.check(check)["verdict"], "pass", "{name}: {check}:\n{}", ended.out);
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_leaves_no_doubt() {
    let cluster = Cluster::start();
    for engine in ["threads", "async"] {
        let bank = Direct::new("bank --seconds 10 --backend postgres").with(&[
            "--engine",
            engine,
            "--url",
            &cluster.url("postgres"),
        ]);
        let child = bank.start();
        bank.await_operations("checker", 30);
        cluster.kill();
        cluster.restart();
        let ended = bank.end(child);
        passes(engine, &ended);
        assert!(ended.unexpected() > 0, "the outage is counted:\n{}", ended.out);
    }
}

#[test]
fn a_daemon_that_is_killed_goes_on_where_it_was() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres");
    for words in [vec!["--backend", "postgres", "--url", &url], vec!["--backend", "sqlite"], vec!["--engine", "async"]]
    {
        let bank = Direct::new("bank --seconds 4").with(&words);
        let mut child = bank.start();
        bank.await_operations("checker", 30);
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(at) = bank.args.iter().position(|word| *word == url) {
            let mut elsewhere = Direct::new("x");
            elsewhere.args.clone_from(&bank.args);
            elsewhere.args[at] = cluster.url("elsewhere");
            let refused = elsewhere.run();
            refused.assert_code(64);
            assert!(refused.out.contains("/elsewhere\n") && refused.out.contains("--fresh"), "{}", refused.out);
        }
        let ended = bank.run();
        passes(&words.join(" "), &ended);
        assert_eq!(ended.report["epochs"].as_array().unwrap().len(), 2);
        assert_eq!(ended.report["totals"]["steps"], 20, "every second of every role once:\n{}", ended.out);
    }
}

/// Finds out how long this machine lets a thread wait that wants to run: that is nobody's deadline missed.
struct Stalls {
    over: Arc<AtomicBool>,
    watch: std::thread::JoinHandle<Duration>,
}

impl Stalls {
    fn watch() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (seen, nap) = (Arc::clone(&over), Duration::from_millis(5));
        let watch = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !seen.load(Ordering::Relaxed) {
                let from = Instant::now();
                std::thread::sleep(nap);
                longest = longest.max(from.elapsed().saturating_sub(nap));
            }
            longest
        });
        Self { over, watch }
    }

    /// Returns the longest one in microseconds.
    fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.watch.join().unwrap().as_micros() as u64
    }
}

#[test]
fn no_operation_outlives_its_limit_when_a_server_stops_answering() {
    let cluster = Cluster::start();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let text = "[run]\ncycles = 1\n[workload.bank]\nseconds = 5\n[target.postgres]\nurl = { env = \"URL\" }\n\
                [timeouts]\nrequest = \"500ms\"\nconnect = \"400ms\"\n[retry]\ngive_up = \"20s\"\n";
    std::fs::write(&config, text).unwrap();
    let mut bank = Direct::new("x");
    bank.args = ["run", "--plain", "-c", config.to_str().unwrap(), "--state-dir", bank.state().to_str().unwrap()]
        .map(str::to_owned)
        .to_vec();
    bank.env = vec![("URL".into(), cluster.url("postgres"))];
    let stalls = Stalls::watch();
    let child = bank.start();
    bank.await_operations("checker", 30);
    let still = cluster.hold_still();
    bank.await_outage();
    drop(still);
    let ended = bank.end(child);
    // An operation passes through several threads.
    let stalled = 4 * stalls.end();
    passes("held still", &ended);
    let latency = ended.report["latency"].as_array().unwrap();
    let longest = latency.iter().filter_map(|one| one["max_us"].as_u64()).max().unwrap();
    let most = 1_500_000 + stalled;
    assert!(longest <= most, "an operation took {longest} µs, and the machine stalled for {stalled}:\n{}", ended.out);
}

#[test]
fn bad_input_is_said_with_what_to_do() {
    let cluster = Cluster::start();
    let sql = |text: &str| cluster.sql(text);
    sql("CREATE ROLE nobody LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;");
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("corrupt.sqlite"), vec![b'x'; 8192]).unwrap();
    let nobody = cluster.url("postgres").replace("postgres@", "nobody@");
    let missing = cluster.url("nowhere");
    for (words, code, wanted) in [
        (vec!["--backend", "postgres", "--url", "mysql://x"], 69, "postgres://user"),
        (vec!["--backend", "postgres", "--url", "postgres://postgres@127.0.0.1:1/x"], 69, "127.0.0.1:1"),
        (vec!["--backend", "postgres", "--url", &missing], 69, "nowhere"),
        (vec!["--backend", "postgres", "--url", &nobody], 1, "permission"),
        (vec!["--file", &path("corrupt.sqlite")], 69, "not a database"),
        (vec!["--file", "/proc/soakd.sqlite"], 69, "/proc/soakd.sqlite"),
        (vec!["--backend", "postgres"], 64, "--url"),
        (vec!["--clients", "3"], 64, "--workers"),
    ] {
        let ended = Direct::new("bank --seconds 1").with(&words).run();
        assert_eq!(ended.code, Some(code), "{words:?}:\n{}", ended.out);
        assert!(ended.out.to_lowercase().contains(&wanted.to_lowercase()), "{wanted}, {words:?}:\n{}", ended.out);
        assert!(!ended.out.contains("panicked"), "{}", ended.out);
    }
}

/// A small file system of its own, gone when it is dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// Mounts it; `None` where that is not permitted.
    fn mount(at: &std::path::Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn read_only(&self) {
        let done = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A test that has failed may have left somebody there.
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_file_are_said_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk"), "size=1m") else {
        eprintln!(
            "\n*** SKIPPED: the tests of a full disk and of a read-only file: only root may mount a file system\n"
        );
        return;
    };
    let file = disk.0.join("bank.sqlite").display().to_string();
    let full = Direct::new("bank --seconds 2").with(&["--file", &file]).run();
    full.assert_code(1);
    assert!(full.out.contains("disk_full") || full.out.contains("disk full"), "{}", full.out);
    for check in ["bank.money", "bank.balances", "bank.batches", "bank.transfers"] {
        assert_ne!(full.check(check)["verdict"], "fail", "{check}:\n{}", full.out);
    }
    disk.read_only();
    let refused = Direct::new("bank --seconds 1").with(&["--file", &file]).run();
    refused.assert_code(69);
    assert!(refused.out.contains("can only be read"), "{}", refused.out);
}
