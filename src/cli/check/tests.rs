use super::*;

#[test]
fn what_messages_need_is_looked_up() {
    let config = |more: &str| {
        let text =
            format!("[notify.mail]\nhost = \"localhost\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n{more}");
        crate::config::Config::parse(&text, "/nowhere/x.toml").unwrap().config
    };
    let lines = super::local::notifications(&config(""));
    assert!(lines.iter().all(|line| line.outcome == super::Outcome::Ok), "{lines:?}");
    let wrong = "user = \"a\"\npassword = { file = \"no-such-secret\" }\nca_file = \"no-such-file.pem\"\n";
    let lines = super::local::notifications(&config(wrong));
    let told = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(lines.iter().all(|line| line.outcome == super::Outcome::Failed), "{told}");
    assert!(told.contains("notify.mail.password") || told.contains("notify.mail.ca_file"), "{told}");
    assert!(super::local::notifications(&crate::config::Config::default()).is_empty());
}

#[test]
fn a_bad_configuration_is_code_64() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("soakd.toml");
    assert_eq!(run(CheckArgs { config: config.clone() }).expect("an exit code"), EXIT_CONFIG);
    std::fs::write(&config, "[rnu]\n").expect("a file");
    assert_eq!(run(CheckArgs { config }).expect("an exit code"), EXIT_CONFIG);
}

#[test]
fn a_good_configuration_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("soakd.toml");
    let state = dir.path().join("state");
    std::fs::write(&config, format!("[run]\nstate_dir = \"{}\"\n", state.display())).expect("a file");
    let loaded = Config::load(&config).expect("a good configuration");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let lines = runtime.block_on(examine(&loaded));
    let names: Vec<_> = lines.iter().map(|line| line.name).collect();
    assert_eq!(names, ["configuration", "table", "state directory", "disk space"]);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1);
}

#[test]
fn what_is_missing_for_the_service_fails_the_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("soakd.toml");
    let text = "[target.cloudsync]\naddress = \"http://127.0.0.1:1\"\ndatabase_id = \"x\"\n\
                api_key = { file = \"no-key\" }\ngateway = \"http://127.0.0.1:1\"\n\
                [provider.extension]\npath = \"none.so\"\n";
    std::fs::write(&config, text).expect("a file");
    let loaded = Config::load(&config).expect("a good configuration");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let lines = runtime.block_on(examine(&loaded));
    let failed: Vec<_> = lines.iter().filter(|line| line.outcome == Outcome::Failed).map(|line| line.name).collect();
    assert_eq!(failed, ["address", "api key", "gateway", "extension file"]);
    assert_eq!(run(CheckArgs { config }).expect("an exit code"), EXIT_FAIL);
}
