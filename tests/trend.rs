//! `soakd trend` from outside: series of the corpus go through it, and so does everything that is no series.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn trend(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soakd")).arg("trend").args(args).output().expect("soakd starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Judges a text as the file `series.csv`; the directory's name is left out of what is said.
fn judged(dir: &Path, text: &[u8], args: &[&str]) -> (Option<i32>, String, String) {
    let file = dir.join("series.csv");
    std::fs::write(&file, text).expect("a file");
    let mut all = vec![file.to_str().expect("a path")];
    all.extend(args);
    let output = trend(&all);
    let plain = |text: String| text.replace(&format!("{}/", dir.display()), "");
    (output.status.code(), plain(stdout(&output)), plain(stderr(&output)))
}

#[test]
fn series_of_the_corpus_are_judged_by_what_they_are() {
    for (shape, leak, code) in [("flat", "0", 0), ("flat", "0.5", 1), ("saw-tooth", "0", 0), ("saw-tooth", "1", 1)] {
        let made = trend(&["--corpus", shape, "--leak", leak, "--seed", "5"]);
        assert!(made.status.success(), "{}", stderr(&made));
        let csv = stdout(&made);
        assert!(csv.starts_with("timestamp,value,epoch,phase\n2026-01-01T00:10:00.000Z,"), "{csv}");
        assert_eq!(csv.lines().count(), 145);
        let mut judge = Command::new(env!("CARGO_BIN_EXE_soakd"));
        let judge = judge.args(["trend", "-", "--unit", "MB", "--format", "json"]);
        let mut judge = judge.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("soakd starts");
        judge.stdin.take().expect("a pipe").write_all(csv.as_bytes()).expect("it reads");
        let output = judge.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{shape} {leak}: {}", stdout(&output));
        let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(value["input"]["phase"], "quiet");
        let slope = value["slope_per_h"].as_f64().expect("a slope");
        assert!((slope - leak.parse::<f64>().expect("a number")).abs() < 0.15, "{shape} {leak}: {slope}");
    }
    let twice = [trend(&["--corpus", "wander", "--seed", "9"]), trend(&["--corpus", "wander", "--seed", "9"])];
    assert_eq!(twice[0].stdout, twice[1].stdout, "a seed makes one series");
}

#[test]
fn bytes_are_shown_and_read_with_units() {
    let dir = tempfile::tempdir().expect("a directory");
    let line =
        |i: i64| format!("{},{}\n", 1_760_000_000 + 600 * i, 60_000_000 + 500_000 * i / 6 + (i * 7919 % 997) * 1000);
    let text = "time,value\n".to_owned() + &(0..144).map(line).collect::<String>();
    let (code, out, err) =
        judged(dir.path(), text.as_bytes(), &["--unit", "bytes", "--limit", "200kB", "--ceiling", "1GB"]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert!(
        out.starts_with("series.csv: GROWING\n") && out.contains("per hour") && out.contains("reaches 1 GB in "),
        "{out}"
    );
    let (code, out, _) = judged(dir.path(), text.as_bytes(), &["--unit", "bytes", "--limit", "1MB"]);
    assert_eq!(code, Some(0), "{out}");
    let (code, _, err) = judged(dir.path(), text.as_bytes(), &["--limit", "1MB"]);
    assert_eq!(code, Some(64));
    assert!(err.contains("say so with --unit"), "{err}");
}

#[test]
fn phases_are_picked() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = |i: i64| {
        let at = 600 * i;
        let noise = (i * 7919 % 997) as f64 / 997.0;
        format!("{at},{},load\n{},{},quiet\n", 90.0 + i as f64, at + 300, 60.0 + noise)
    };
    let text = "time,value,phase\n".to_owned() + &(0..144).map(line).collect::<String>();
    let (code, out, _) = judged(dir.path(), text.as_bytes(), &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("only samples of phase \"quiet\""), "{out}");
    assert_eq!(judged(dir.path(), text.as_bytes(), &["--phase", "load"]).0, Some(1));
    let (code, _, err) = judged(dir.path(), text.as_bytes(), &["--phase", "idle"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(64), "series.csv has no sample of phase idle; there are \"load\", \"quiet\"\n")
    );
}

#[test]
fn what_is_no_series_is_refused_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = |text: &[u8], args: &[&str], words: &str| {
        let (code, out, err) = judged(dir.path(), text, args);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{words}: {err}");
        assert!(err.contains(words), "{words}: {err}");
    };
    refused(b"", &[], "series.csv is empty; a first line with the names of the columns is needed");
    refused(
        b"a,b\n1,2\n",
        &[],
        "series.csv:1: there is no column timestamp or time or at: the columns are \"a\", \"b\"",
    );
    refused(b"1,2\n3,4\n", &[], "the first line must name the columns, but it has numbers");
    refused(b"time,value\n1,x\n2,3\n", &[], "series.csv:2: column 2: \"x\" is not a number");
    refused(b"time,value\nyesterday,1\n", &[], "series.csv:2: column 1: \"yesterday\" is not a time");
    refused(b"time,value\n1,2\n", &["--value", "rss"], "there is no column rss");
    refused(b"time,value\n1,2\n", &["--alpha", "2"], "--alpha 2");
    refused(&[0, 159, 146, 150, 10, 1, 2, 3], &[], "there is no column");
    refused(&[b"time,value\n\"".as_slice(), &vec![b'a'; 3 << 20]].concat(), &[], "longer than 1 MiB");
    let (code, _, err) = judged(dir.path(), b"x", &["--phase"]);
    assert_eq!(code, Some(64), "{err}");
    let absent = trend(&["/nonexistent.csv"]);
    assert_eq!(absent.status.code(), Some(64));
    assert!(stderr(&absent).starts_with("/nonexistent.csv: cannot be opened"), "{}", stderr(&absent));
    assert_eq!(trend(&[dir.path().to_str().expect("a path")]).status.code(), Some(64));
    assert_eq!(trend(&["--corpus", "triangle"]).status.code(), Some(64));
}

#[test]
fn too_little_has_a_code_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    for text in ["time,value\n", "time,value\n1,2\n", "time,value\n1,2\n1,3\n1,4\n", "time,value\n1,NaN\n2,\n3,inf\n"] {
        let (code, out, err) = judged(dir.path(), text.as_bytes(), &[]);
        assert_eq!((code, err.as_str()), (Some(2), ""), "{text}: {out}");
        assert!(out.starts_with("series.csv: TOO LITTLE\n"), "{out}");
    }
}

#[test]
fn what_is_odd_about_a_series_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = |i: i64| format!("2026-03-01T{:02}:{:02}:00Z;{}\n", i / 6 % 24, i % 6 * 10, 60 + i * 7919 % 3);
    let mut lines: Vec<String> = (0..140).map(line).collect();
    lines.swap(3, 90);
    lines.push("never;1\n".to_owned());
    lines.push("2026-03-09T00:00:00Z;61\n2026-03-01T01:00:00Z;\n".to_owned());
    let text = "\u{feff}Timestamp;Value\n".to_owned() + &lines.concat();
    let (code, out, err) = judged(dir.path(), text.as_bytes(), &[]);
    assert!(matches!(code, Some(0 | 2)) && err.is_empty(), "{code:?} {out}{err}");
    for words in [
        "sorted",
        "1 line could not be read",
        "series.csv:142: column 1: \"never\"",
        "1 line without",
        "longest gap is 7d",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}
