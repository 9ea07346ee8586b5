//! `soakd check` against a gateway that answers: the embedded target offers the same addresses. Nothing is written.

#[path = "support/extension.rs"]
mod extension;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const KEY: &str = "marked-api-key-4711";

/// A managed target on a free port, ended with its input.
struct Target {
    child: Child,
    address: String,
}

impl Target {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_soakd"))
            .args(["target", "--managed"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the target starts");
        let settings = serde_json::json!({
            "api_key": KEY,
            "listen": "127.0.0.1:0",
            "store": { "sqlite": dir.join("target.db") },
            "table": soakd::model::schema::TableSpec::seed(),
            "rls": true,
        });
        let stdin = child.stdin.as_mut().expect("its input");
        writeln!(stdin, "{settings}").expect("settings are taken");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("it says that it is ready");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("its address");
        let address = format!("http://{}", ready["listening"].as_str().expect("an address"));
        Self { child, address }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn check(dir: &Path, key: &str, gateway: &str, table: &str) -> (Option<i32>, String) {
    let config = dir.join("soakd.toml");
    let text = format!(
        "[run]\nstate_dir = \"{0}/state\"\n\
         [workload.sync]\nscale = \"small\"\n{table}\
         [target.cloudsync]\naddress = \"{gateway}\"\ndatabase_id = \"x\"\ngateway = \"{gateway}\"\n\
         api_key = {{ env = \"SOAKD_TEST_KEY\" }}\n\
         [provider.extension]\npath = \"{1}\"\n",
        dir.display(),
        extension::cloudsync().display()
    );
    std::fs::write(&config, text).expect("the configuration is written");
    let out = Command::new(env!("CARGO_BIN_EXE_soakd"))
        .args(["check", "-c"])
        .arg(&config)
        .env("SOAKD_TEST_KEY", key)
        .output()
        .expect("check runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(!said.contains(KEY), "a secret was printed: {said}");
    assert!(!dir.join("state").exists(), "check writes nothing");
    (out.status.code(), said)
}

#[test]
fn a_service_is_looked_at_from_every_side() {
    let dir = tempfile::tempdir().expect("a directory");
    let target = Target::start(dir.path());
    let (code, said) = check(dir.path(), KEY, &target.address, "");
    assert_eq!(code, Some(0), "{said}");
    for part in ["version 1.1.4 loads", "issued; it expires in a minute", "test_sync has all 4 columns", "ready"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = check(dir.path(), "wrong", &target.address, "");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("token") && said.contains("checks failed"), "{said}");
    let other = "[workload.sync.table]\nddl = \"CREATE TABLE other (id TEXT PRIMARY KEY NOT NULL, \
                 user_id TEXT NOT NULL DEFAULT '', name TEXT, value INTEGER)\"\n";
    let (code, said) = check(dir.path(), KEY, &target.address, other);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no table other"), "{said}");
}

#[test]
fn a_service_that_is_not_there_is_said_to_be_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, said) = check(dir.path(), KEY, "http://127.0.0.1:1", "");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("127.0.0.1:1"), "{said}");
}
