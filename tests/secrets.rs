//! Nothing that soakd shows, writes or passes on holds a secret: everything runs with marked secrets, and all that comes out of it is
//! searched for the marks, plain, base64 and URL-encoded.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;
#[path = "support/hook.rs"]
mod hook;
#[path = "support/smtpd.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod smtpd;

use std::path::{Path, PathBuf};
use std::process::Command;

use daemon::{Daemon, children, configuration, run_command, small};
use hook::Hook;
use smtpd::{DOMAIN, PASSWORD, Smtpd, USER};
use soakd::observe::api::client::Client;

/// The marks, as secrets: one for the bearer token of a webhook, one within each secret address, one for the API over TCP.
const HOOK_TOKEN: &str = "hook+mark/7f3a=token";
const HOOK_ADDRESS: &str = "hook-address-mark-51c0";
const PING_ADDRESS: &str = "ping-address-mark-90ab";
const API_TOKEN: &str = "api-mark.d41d8cd98f00b204";
/// How the tokens that the embedded target makes for users begin; digits of their own follow.
const ISSUED: &[u8] = b"|soakd_";

/// Everything that came out, by where it came from.
#[derive(Default)]
struct Outputs(Vec<(String, Vec<u8>)>);

impl Outputs {
    fn add(&mut self, from: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((from.into(), bytes.into()));
    }

    /// Adds all files below a directory.
    fn tree(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.tree(&path);
            } else if path.is_file() {
                // A file may be gone by now.
                self.add(path.display().to_string(), std::fs::read(&path).unwrap_or_default());
            }
        }
    }

    /// Returns where which secret is to be found.
    fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (from, bytes) in &self.0 {
            for secret in [HOOK_TOKEN, HOOK_ADDRESS, PING_ADDRESS, API_TOKEN, PASSWORD] {
                for form in forms(secret) {
                    if contains(bytes, form.as_bytes()) {
                        found.push(format!("{secret} as {form} in {from}"));
                    }
                }
            }
            if let Some(at) = issued_in(bytes) {
                found.push(format!("an issued token at byte {at} in {from}"));
            }
        }
        found
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Returns where a token of the embedded target stands: its beginning, and digits that are too many for a name.
fn issued_in(bytes: &[u8]) -> Option<usize> {
    let is_token = |at: &usize| {
        let digits = bytes.get(at + ISSUED.len()..).unwrap_or_default();
        bytes[*at..].starts_with(ISSUED) && digits.iter().take_while(|b| b.is_ascii_hexdigit()).count() >= 16
    };
    (0..bytes.len()).find(is_token)
}

/// Returns a secret as it is, URL-encoded, and in base64 at each of the three places that it can have within a longer text.
fn forms(secret: &str) -> Vec<String> {
    let url = |keep: fn(u8) -> bool| -> String {
        secret.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let mut forms = vec![secret.to_owned(), url(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))];
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend(secret.bytes());
        let text = base64(&bytes);
        // The edges depend on what stands beside the secret.
        let from = [0, 2, 3][before];
        let until = bytes.len() / 3 * 4;
        forms.push(text[from..until].to_owned());
        forms.push(text[from..until].replace('+', "-").replace('/', "_"));
    }
    forms.sort();
    forms.dedup();
    forms
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let number = three.iter().chain([0; 2].iter()).take(3).fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[number >> shift & 63]))
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// What a run is made of.
struct Scene {
    server: Smtpd,
    hook: Hook,
    dir: tempfile::TempDir,
    config: PathBuf,
    state: PathBuf,
}

fn scene(format: &str) -> Option<Scene> {
    let (server, hook) = (Smtpd::start()?, Hook::start());
    let dir = tempfile::tempdir().expect("a directory");
    let secret = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let password = secret("password", PASSWORD);
    let address = secret("hook", &format!("http://127.0.0.1:{}/{HOOK_ADDRESS}", hook.port));
    let ping = secret("ping", &format!("http://127.0.0.1:{}/{PING_ADDRESS}", hook.port));
    let more = format!(
        "format = \"{format}\"\n[api]\nlisten = \"127.0.0.1:0\"\ntoken = {{ env = \"SOAKD_MARKED_API\" }}\n\
         [notify]\ngroup_wait = \"0s\"\n\
         [notify.mail]\nhost = \"localhost\"\nport = {}\nuser = \"{USER}\"\npassword = {{ file = {password:?} }}\n\
         ca_file = {:?}\nfrom = \"soakd@{DOMAIN}\"\nto = [\"first@{DOMAIN}\"]\n\
         [notify.webhook.ops]\nsecret_address = {{ file = {address:?} }}\ntoken = {{ env = \"SOAKD_MARKED_HOOK\" }}\n\
         [notify.webhook.chat]\nkind = \"slack\"\nsecret_address = {{ file = {address:?} }}\n\
         [notify.webhook.alerts]\nkind = \"alertmanager\"\naddress = \"http://127.0.0.1:9\"\ntoken = {{ env = \"SOAKD_MARKED_HOOK\" }}\n\
         [notify.ping]\nsecret_address = {{ file = {ping:?} }}\nevery = \"1s\"\n",
        server.starttls,
        server.authority()
    );
    let settings = small("lockstep", (30, 2, 4), &more).replace("level = \"warn\"", "level = \"trace\"");
    let config = configuration(dir.path(), &format!("[run]\nseed = 7\ncycles = 1000\npause = \"1s\"\n{settings}"));
    let state = dir.path().join("state");
    Some(Scene { server, hook, dir, config, state })
}

fn with_env(mut command: Command) -> Command {
    command.env("SOAKD_MARKED_API", API_TOKEN).env("SOAKD_MARKED_HOOK", HOOK_TOKEN);
    command
}

/// Adds what a command says.
fn say(outputs: &mut Outputs, args: &[&str], paths: &[(&str, &Path)]) {
    let mut command = with_env(daemon::soakd(args));
    for (name, path) in paths {
        command.arg(name).arg(path);
    }
    let ended = daemon::ended(&mut command);
    assert!(!ended.stdout.is_empty() || !ended.stderr.is_empty(), "{args:?} says nothing: {ended:?}");
    outputs.add(args.join(" "), format!("{}{}", ended.stdout, ended.stderr));
}

/// Adds what a running daemon shows: its answers, its processes, and what commands say beside it.
fn look_at(outputs: &mut Outputs, daemon: &Daemon, scene: &Scene) {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let run = runtime.block_on(async {
        let client = Client::open(&scene.state.join("soakd.sock")).expect("a daemon");
        let status: serde_json::Value = client.get("/v1/status").await.expect("a status");
        let run = status["run"]["run"].as_str().unwrap_or("none").to_owned();
        let of_run = ["", "/cycles", "/report"].map(|part| format!("/v1/runs/{run}{part}"));
        let fixed =
            ["/v1/status", "/v1/runs", "/v1/incidents", "/v1/incidents/1", "/v1/outbox", "/v1/schedules", "/metrics"];
        for path in of_run.iter().map(String::as_str).chain(fixed) {
            let text = client.text(path).await.unwrap_or_else(|e| format!("{path}: {e}"));
            outputs.add(path, text);
        }
        let mut events = Vec::new();
        let few = client.follow(|event| {
            events.push(event.to_string());
            events.len() < 20
        });
        few.await.expect("events");
        outputs.add("/v1/events", events.join("\n"));
        run
    });
    assert_ne!(run, "none");
    let parts = children(daemon.pid());
    assert!(parts.iter().any(|p| p.part == "worker") && parts.iter().any(|p| p.part == "target"), "{parts:?}");
    let read = |pid: u32, what: &str| std::fs::read(format!("/proc/{pid}/{what}")).expect("a process");
    for part in &parts {
        outputs.add(format!("environment of {}", part.part), read(part.pid, "environ"));
        outputs.add(format!("command line of {}", part.part), read(part.pid, "cmdline"));
    }
    outputs.add("command line of the daemon", read(daemon.pid(), "cmdline"));
    // Its own environment is where the references point to.
    assert!(contains(&read(daemon.pid(), "environ"), HOOK_TOKEN.as_bytes()));
    let (state, config): ((&str, &Path), (&str, &Path)) = (("--state-dir", &scene.state), ("--config", &scene.config));
    say(outputs, &["status", "--format", "json"], &[state]);
    say(outputs, &["incidents", "--all", "--format", "json"], &[state]);
    say(outputs, &["check", "--format", "json"], &[config]);
    say(outputs, &["doctor", "--format", "json"], &[config]);
    say(outputs, &["notify", "test"], &[config]);
}

fn nothing_is_shown(format: &str) {
    let Some(scene) = scene(format) else { return };
    let mut outputs = Outputs::default();
    let mut command = with_env(run_command(&scene.config, &scene.state, &["--plant", "drop-change", "--testing"]));
    let mut daemon = Daemon::start(&mut command);
    scene.server.mails("first", 1);
    look_at(&mut outputs, &daemon, &scene);
    // What is tried in vain is written down with the reason.
    assert!(daemon.lives_for(std::time::Duration::from_millis(500)), "{}", daemon.all());
    daemon.signal(rustix::process::Signal::TERM);
    let ended = daemon.end();
    outputs.add("standard output", ended.stdout);
    outputs.add("standard error", ended.stderr);
    for form in ["text", "markdown", "json"] {
        say(&mut outputs, &["report", "--format", form], &[("--state-dir", &scene.state)]);
    }
    for (n, mail) in scene.server.arrived("first").into_iter().enumerate() {
        outputs.add(format!("mail {n}"), mail);
    }
    let requests = scene.hook.requests();
    let heads: String = requests.iter().map(|request| request.head.as_str()).collect();
    for secret in [HOOK_TOKEN, HOOK_ADDRESS, PING_ADDRESS] {
        assert!(heads.contains(secret), "{secret} was used: {heads}");
    }
    for (n, request) in requests.into_iter().enumerate() {
        outputs.add(format!("body {n} of a webhook"), request.body);
    }
    outputs.tree(&scene.state);
    let sizes: usize = outputs.0.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{format}: {} outputs, {sizes} bytes", outputs.0.len());
    for wanted in
        ["soakd.redb", "workers.log", "report.json", "mail 0", "of a webhook", "/metrics", "environment of worker"]
    {
        assert!(
            outputs.0.iter().any(|(from, bytes)| from.contains(wanted) && !bytes.is_empty()),
            "{wanted} is looked at"
        );
    }
    assert_eq!(outputs.found(), [""; 0]);
    // The same search fires on a file in the same place.
    let planted = [
        PASSWORD.to_owned(),
        base64(format!("user:{API_TOKEN}").as_bytes()),
        format!("1{}{}", "|soakd_", "0f".repeat(32)),
    ];
    for (n, mark) in planted.iter().enumerate() {
        let file = scene.state.join("reports/planted");
        std::fs::write(&file, format!("before {mark} after")).expect("a file");
        let mut outputs = Outputs::default();
        outputs.tree(&scene.state);
        assert_eq!(outputs.found().len(), 1, "{n}: {mark}");
        std::fs::remove_file(&file).expect("a file");
    }
    drop(scene.dir);
}

#[test]
fn no_secret_is_shown_by_a_daemon_that_writes_text() {
    nothing_is_shown("text");
}

#[test]
fn no_secret_is_shown_by_a_daemon_that_writes_json() {
    nothing_is_shown("json");
}
