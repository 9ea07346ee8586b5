//! The files that `soakd init` writes: the configuration, and the key that it refers to.

use std::io::Write;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::questions::Answers;

/// Name of the file with the API key, beside the configuration.
pub(super) const KEY_FILE: &str = "soakd-api-key";

/// Writes a text as TOML does.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns the text of the configuration.
pub(super) fn text(answers: &Answers) -> String {
    let mut lines = vec![
        "# Written by `soakd init`. config.example.toml shows every setting.".to_owned(),
        String::new(),
        "[workload.sync]".to_owned(),
        format!("scale = {}", quoted(&answers.scale)),
        format!("rls = {}", answers.rls),
    ];
    let ddl_file = answers.ddl_file.as_ref().map(|path| path.display().to_string());
    let table = [
        ("ddl", &answers.ddl),
        ("ddl_file", &ddl_file),
        ("owner", &answers.owner),
        ("stamp", &answers.stamp),
        ("counter", &answers.counter),
    ];
    let table: Vec<String> =
        table.iter().filter_map(|(key, value)| value.as_ref().map(|v| format!("{key} = {}", quoted(v)))).collect();
    if !table.is_empty() {
        lines.extend([String::new(), "[workload.sync.table]".to_owned()]);
        lines.extend(table);
    }
    if answers.connection.is_some() {
        lines.extend([
            String::new(),
            "[target.cloudsync]".to_owned(),
            format!("address = {}", quoted(&answers.address)),
            format!("database_id = {}", quoted(&answers.database_id)),
            format!("api_key = {{ file = \"{KEY_FILE}\" }}"),
            format!("gateway = {}", quoted(&answers.gateway)),
            format!("database = {}", quoted(&answers.database)),
            String::new(),
            "[provider.extension]".to_owned(),
            format!("path = {}", quoted(&answers.extension.display().to_string())),
            String::new(),
            "# The service prepares downloads in the background.".to_owned(),
            "[verify]".to_owned(),
            "settle_wait = \"1s\"".to_owned(),
        ]);
    } else {
        lines.extend([String::new(), "[target.embedded]".to_owned(), "store = \"sqlite\"".to_owned()]);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Writes the key where only its owner may read it.
pub(super) fn write_key(path: &Path, key: &SecretString) -> anyhow::Result<()> {
    replace(path, format!("{}\n", key.expose_secret()).as_bytes(), 0o600)
}

/// Writes a file as a whole or not at all.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    })();
    written.map_err(|why| {
        // Best effort: the error that matters is the first one.
        let _ = std::fs::remove_file(&fresh);
        anyhow::anyhow!("{} cannot be written: {why}", path.display())
    })
}
