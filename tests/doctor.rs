//! `soakd doctor` on a machine that is fit, and with each trouble planted on its own.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SOAKD: &str = env!("CARGO_BIN_EXE_soakd");

/// Writes a configuration whose state directory is `state` beside it.
fn configuration(dir: &Path, more: &str) -> PathBuf {
    let file = dir.join("soakd.toml");
    std::fs::write(&file, format!("[run]\nstate_dir = \"{}/state\"\n{more}", dir.display())).unwrap();
    file
}

/// Returns `program args… soakd doctor --format json` with nothing from the environment that soakd would read.
fn doctor(program: &[&str], config: &Path, args: &[&str]) -> Command {
    let mut words = program.iter().copied().chain([SOAKD, "doctor", "--format", "json", "--config"]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(config).args(args).stdin(Stdio::null());
    command.env_remove("SOAKD_CONFIG").env_remove("SOAKD_STATE_DIR");
    command
}

/// What doctor found: its exit code and its lines by name.
struct Found {
    code: Option<i32>,
    checks: Vec<(String, String, String)>,
}

impl Found {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let found: Value = serde_json::from_slice(&stdout).unwrap_or_else(|_| {
            panic!("no JSON: {}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
        });
        let word = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
        let checks = found["checks"].as_array().unwrap().iter();
        let checks = checks.map(|c| (word(c, "name"), word(c, "outcome"), word(c, "detail"))).collect();
        assert_eq!(found["fit"].as_bool().unwrap(), status.code() == Some(0), "{found}");
        Self { code: status.code(), checks }
    }

    /// Returns the names of the lines with this outcome.
    fn named(&self, outcome: &str) -> Vec<&str> {
        self.checks.iter().filter(|(_, o, _)| o == outcome).map(|(name, ..)| name.as_str()).collect()
    }

    /// Returns what a line says.
    fn says(&self, name: &str) -> &str {
        &self.checks.iter().find(|(n, ..)| n == name).unwrap_or_else(|| panic!("no line {name}: {:?}", self.checks)).2
    }
}

/// Returns what is in a directory.
fn entries(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_healthy_machine_is_fit_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let scratch = dir.path().join("tmp");
    std::fs::create_dir(&scratch).unwrap();
    let found = Found::of(doctor(&[], &config, &[]).env("TMPDIR", &scratch));
    assert_eq!((found.code, found.named("failed")), (Some(0), vec![]), "{:?}", found.checks);
    let soak = found.says("small soak");
    assert!(soak.starts_with("PASS") && soak.contains("of isolation"), "{soak}");
    assert!(!soak.contains(" 0 of them"), "{soak}");
    assert!(found.says("mail").contains("nobody is told"));
    assert_eq!(found.says("state file"), "there is none yet");
    assert!(entries(&scratch).is_empty());
    assert_eq!(entries(dir.path()).len(), 2, "the configuration and the directory for temporary files");
}

#[test]
fn text_is_for_people_and_a_wrong_configuration_is_code_64() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let said = Command::new(SOAKD).args(["doctor", "--no-mail", "-c"]).arg(&config).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.lines().next().unwrap().starts_with("OK       configuration"), "{text}");
    assert!(text.lines().last().unwrap().contains("fit for a long run"), "{text}");
    std::fs::write(&config, "[rnu]\n").unwrap();
    let said = Command::new(SOAKD).args(["doctor", "-c"]).arg(&config).output().unwrap();
    assert_eq!((said.status.code(), said.stdout.len()), (Some(64), 0));
    assert!(String::from_utf8_lossy(&said.stderr).contains("rnu"));
}

#[test]
fn a_bug_in_row_level_security_is_found_by_the_small_soak() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    for plant in ["forged-update", "no-token"] {
        let found = Found::of(&mut doctor(&[], &config, &["--testing", "--plant", plant]));
        assert_eq!((found.code, found.named("failed")), (Some(1), vec!["small soak"]), "{:?}", found.checks);
        let says = found.says("small soak");
        assert!(says.starts_with("FAIL: isolation"), "{plant}: {says}");
    }
}

#[test]
fn too_few_open_files_fail_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let found = Found::of(&mut doctor(&["prlimit", "--nofile=64:64"], &config, &[]));
    assert_eq!(found.code, Some(1));
    assert!(found.named("failed").contains(&"open files"), "{:?}", found.checks);
    assert!(found.says("open files").contains("may open 64") && found.says("open files").contains("LimitNOFILE="));
}

#[test]
fn files_that_may_not_grow_fail_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let found = Found::of(&mut doctor(&["prlimit", "--fsize=134217728"], &config, &[]));
    assert_eq!((found.code, found.named("failed")), (Some(1), vec!["file size"]), "{:?}", found.checks);
    assert!(found.says("file size").contains("128 MiB"));
}

#[test]
fn a_file_in_place_of_the_state_directory_fails() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    std::fs::write(dir.path().join("state"), "x").unwrap();
    let found = Found::of(&mut doctor(&[], &config, &[]));
    assert_eq!((found.code, found.named("failed")), (Some(1), vec!["state directory"]), "{:?}", found.checks);
    assert_eq!(found.named("skipped"), ["durable writes"]);
}

#[test]
fn a_directory_that_soakds_user_may_not_write_fails() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    for path in [dir.path(), &state] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    // Root may write anywhere: the daemon's user is tried.
    let program: &[&str] = if rustix::process::geteuid().is_root() {
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    } else {
        &[]
    };
    // The program itself lies where others may not look.
    let own = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let soakd = own.path().join("soakd");
    if std::fs::hard_link(SOAKD, &soakd).is_err() {
        std::fs::copy(SOAKD, &soakd).unwrap();
    }
    let mut words: Vec<&str> = program.to_vec();
    let soakd = soakd.to_str().unwrap().to_owned();
    words.extend([soakd.as_str(), "doctor", "--format", "json", "--config"]);
    let found = Found::of(Command::new(words[0]).args(&words[1..]).arg(&config).stdin(Stdio::null()));
    assert_eq!((found.code, found.named("failed")), (Some(1), vec!["state directory"]), "{:?}", found.checks);
    assert!(found.says("state directory").contains("give it to the user"), "{:?}", found.checks);
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_damaged_state_file_fails_and_a_linked_one_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(dir.path().join("elsewhere"), vec![7; 100_000]).unwrap();
    symlink(dir.path().join("elsewhere"), state.join("soakd.redb")).unwrap();
    let found = Found::of(&mut doctor(&[], &config, &[]));
    assert_eq!((found.code, found.named("failed")), (Some(1), vec!["state file"]), "{:?}", found.checks);
}

#[test]
fn whoever_is_to_be_told_is_told_or_the_line_says_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let hook = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[notify.mail]\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\nfrom = \"soakd@example.org\"\n\
         to = [\"ops@example.org\"]\ntimeout = \"2s\"\n[notify.webhook.chat]\naddress = \"http://{}/hook\"\n",
        hook.local_addr().unwrap()
    );
    let config = configuration(dir.path(), &more);
    let skipped = Found::of(&mut doctor(&[], &config, &["--no-mail"]));
    assert_eq!((skipped.code, skipped.named("skipped")), (Some(0), vec!["mail"]), "{:?}", skipped.checks);
    let answered = std::thread::spawn(move || {
        let (mut stream, _) = hook.accept().unwrap();
        let mut request = [0; 65536];
        let mut read = 0;
        // The body's end is known by its length alone; what is asked for is in the first bytes.
        while !request[..read].windows(4).any(|end| end == b"\r\n\r\n") {
            read += stream.read(&mut request[read..]).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        // The rest of the body, so that the connection is not reset under the answer.
        let _ = stream.read_to_end(&mut Vec::new());
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let found = Found::of(&mut doctor(&[], &config, &[]));
    assert_eq!((found.code, found.named("failed")), (Some(1), vec!["mail"]), "{:?}", found.checks);
    assert!(found.says("mail").contains("127.0.0.1"), "{:?}", found.checks);
    assert!(found.says("webhook").contains("webhook.chat: delivered"), "{:?}", found.checks);
    assert!(answered.join().unwrap().starts_with("POST /hook"));
}

#[test]
fn an_external_target_is_not_written_to_unless_that_is_permitted() {
    let dir = tempfile::tempdir().unwrap();
    let more = "[target.cloudsync]\naddress = \"http://127.0.0.1:1\"\ndatabase_id = \"x\"\napi_key = { file = \"no-key\" }\n\
                gateway = \"http://127.0.0.1:1\"\n[provider.extension]\npath = \"none.so\"\n";
    let config = configuration(dir.path(), more);
    let found = Found::of(&mut doctor(&[], &config, &[]));
    assert_eq!(found.code, Some(1));
    assert_eq!(found.named("failed"), ["address", "api key", "gateway", "extension file"], "{:?}", found.checks);
    assert!(found.says("small soak").contains("--write"));
}
