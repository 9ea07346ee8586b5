//! Configuration files as data: the good ones load, the bad ones say all that is wrong, and the example tells the truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use soakd::config::{Config, Scale, WorkloadConfig, flat, keys};

fn files(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(kind);
    let entries = std::fs::read_dir(dir).expect("the directory of configurations");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 3);
    files
}

#[test]
fn valid_files_load() {
    for file in files("valid") {
        if let Err(errors) = Config::load(&file) {
            panic!("{errors}");
        }
    }
}

/// Compares each bad file's problems with its leading `# expect: …` lines, which count as lines of the file.
#[test]
fn invalid_files_say_everything_that_is_wrong() {
    let mut wrong = String::new();
    for file in files("invalid") {
        let text = std::fs::read_to_string(&file).expect("a text");
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        let errors = Config::load(&file).expect_err("a refused configuration").to_string();
        assert!(!errors.contains("HUNTER2"), "a secret was repeated: {errors}");
        let dir = format!("{}/", file.parent().expect("a directory").display());
        let said: Vec<String> = errors.lines().map(|line| line.replace(&dir, "")).collect();
        if said != expected {
            wrong += &format!("{}:\n", file.display());
            said.iter().for_each(|line| wrong += &format!("# expect: {line}\n"));
        }
    }
    assert!(wrong.is_empty(), "these files said something else than expected:\n{wrong}");
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    std::fs::read_to_string(path).expect("config.example.toml")
}

/// Returns every key that the example shows, in force or not, with its value.
fn shown(text: &str) -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut shown = BTreeMap::new();
    for line in text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            assert!(shown.insert(format!("{section}{key}"), value.to_owned()).is_none(), "{section}{key} twice");
        }
    }
    shown
}

#[test]
fn the_example_is_the_default() {
    let loaded = Config::parse(&example(), "config.example.toml").expect("a good example");
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn the_example_loads_for_cloudsync_too() {
    let text = example();
    let embedded = text.find("[target.embedded]").expect("a section");
    let cloud = text.find("#[target.cloudsync]").expect("a section");
    let end = text.find("[timeouts]").expect("a section");
    // What lies between are targets of other workloads.
    let direct = text.find("# A SQLite file that the bank").expect("a section");
    let extension = text.find("#[provider.extension]").expect("a section");
    let cloudsync = text[cloud..direct].to_owned() + &text[extension..end];
    let cloudsync: Vec<&str> = cloudsync.lines().filter(|line| !line.starts_with("# ")).collect();
    let cloudsync = cloudsync.iter().map(|line| line.strip_prefix('#').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let whole = text[..embedded].replace("provider = \"native\"", "") + &cloudsync + "\n" + &text[end..];
    Config::parse(&whole, "config.example.toml").unwrap_or_else(|errors| panic!("{errors}"));
}

/// Puts everything from the first schedule on in force, except what excludes another setting.
#[test]
fn the_example_loads_with_everything_that_a_daemon_can_have() {
    let text = example();
    let (before, after) = text.split_at(text.find("#[schedule.nightly]").expect("a section"));
    let mut whole = before.to_owned();
    for line in after.lines().filter(|line| !line.contains("secret_address = ") && !line.contains("NAME")) {
        let line = line.strip_prefix("#   ").unwrap_or(line);
        whole += line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line);
        whole += "\n";
    }
    let loaded = Config::parse(&whole, "config.example.toml").unwrap_or_else(|errors| panic!("{errors}\n{whole}"));
    let workload = loaded.for_schedule("nightly").expect("a schedule").config.workload;
    let WorkloadConfig::Sync(sync) = workload else { panic!("another workload") };
    assert_eq!(sync.scale, Scale::Large);
    assert!(loaded.config.notify.mail.is_some() && loaded.config.notify.ping.is_some());
    assert_eq!(loaded.config.notify.webhook.len(), 1);
}

/// Sections that are not there by default, with what they cannot do without.
const MINIMAL: &[(&str, &str)] = &[
    ("run.cycles", "1"),
    ("target.cloudsync.database_id", "\"x\""),
    ("target.cloudsync.api_key.env", "\"K\""),
    ("target.cloudsync.gateway", "\"https://g\""),
    ("provider.extension.path", "\"/x\""),
    ("observe.version.label", "\"x\""),
    ("schedule.nightly.cron", "\"@daily\""),
    ("notify.mail.host", "\"h\""),
    ("notify.mail.from", "\"a@b\""),
    ("notify.mail.to", "[\"a@b\"]"),
    ("notify.webhook.ops.address", "\"https://g\""),
    ("notify.ping.address", "\"https://g\""),
];

/// The workloads that take the place of sync, with their targets.
const BANK: &str = "workload.bank.seconds = 10\n[target.postgres]\nurl = { env = \"U\" }\n";
const CATALOG: &str = "workload.catalog.clients = 10\n[target.sqlite]\njournal = \"wal\"\n";

#[test]
fn the_example_shows_every_key_and_its_default() {
    let text = example();
    let shown = shown(&text);
    let mut defaults = flat::everything(&Config::default());
    let minimal: String = MINIMAL.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    for text in [&minimal, BANK, CATALOG] {
        let config = Config::parse(text, "x.toml").unwrap_or_else(|errors| panic!("{errors}")).config;
        for (key, value) in flat::everything(&config) {
            if !MINIMAL.iter().any(|(set, _)| *set == key) && key != "target.postgres.url.env" {
                defaults.insert(key, value);
            }
        }
    }
    let unknown: Vec<&String> = shown.keys().filter(|key| keys::find(key).is_none()).collect();
    assert_eq!(unknown, Vec::<&String>::new());
    for key in keys::KEYS {
        let same = |path: &str| keys::find(path).is_some_and(|known| known.path == key.path);
        let Some((path, value)) = shown.iter().find(|(path, _)| same(path)) else {
            panic!("config.example.toml does not show {}", key.path)
        };
        if let Some(default) = defaults.get(path) {
            assert_eq!(value.trim_matches('"').replace(", ", ","), *default, "{path}");
            continue;
        }
        let (section, name) = path.rsplit_once('.').expect("a section");
        let section = &text[text.find(&format!("[{section}]\n")).expect("the section")..];
        let place = section.find(&format!("\n#{name} = "));
        let before = &section[..place.unwrap_or_else(|| panic!("{path} has no default, and is in force"))];
        let doc: Vec<&str> = before.lines().rev().take_while(|line| line.starts_with("# ")).collect();
        let said = doc.iter().any(|line| line.contains("No default") || line.contains("Required"));
        assert!(said, "{path} has no default, and the example does not say so");
    }
}

#[test]
fn defaults_are_within_their_own_limits() {
    let text = toml::to_string(&Config::default()).expect("a text");
    assert_eq!(Config::parse(&text, "x.toml").expect("a good configuration").config, Config::default());
}

#[test]
fn files_of_another_kind_are_refused_in_bounded_time_and_words() {
    let many: String = (0..50_000).map(|i| format!("k{i} = 1\n")).collect();
    for text in [many, "a.".repeat(50_000) + "a = 1", "a = ".to_owned() + &"[".repeat(50_000), "[a]\n".repeat(20_000)] {
        let errors = Config::parse(&text, "x.toml").expect_err("a refused configuration");
        assert!(errors.problems.len() <= 101);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z.=\\[\\]\"{}0-9\\n _-]{0,200}") {
        let _ = Config::parse(&text, "x.toml");
    }

    #[test]
    fn no_value_of_a_known_key_panics(index in 0..keys::KEYS.len(), value in "-?[0-9]{1,40}|[0-9]+\\.[0-9]+|\"[ -!#-\\[\\]-~]{0,30}\"|\\{\\}|\\[\\]|true") {
        let path = keys::KEYS[index].path.replace('*', "nightly");
        let _ = Config::parse(&format!("{path} = {value}"), "x.toml");
        let _ = Config::parse(&format!("schedule.nightly.cron = \"@daily\"\nschedule.nightly.{path} = {value}"), "x.toml");
    }
}
