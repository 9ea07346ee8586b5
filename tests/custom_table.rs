//! The user's own table: other names, more columns, every storage class; synced, verified, and its bugs found.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use daemon::{configuration, ended, run_command, small};

const TABLE: &str = r#"[workload.sync.table]
ddl = '''CREATE TABLE "order lines" (
  "line id" TEXT PRIMARY KEY NOT NULL,
  customer TEXT NOT NULL DEFAULT '',
  amount REAL NOT NULL DEFAULT 0,
  "last writer" TEXT,
  photo BLOB,
  revision INTEGER,
  quantity INTEGER NOT NULL DEFAULT 1
)'''
owner = "customer"
stamp = "last writer"
counter = "revision"
"#;

#[test]
fn a_table_of_the_users_own_is_synced_and_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    for (mode, plant, code) in [
        ("classic", None, 0),
        ("incremental", None, 0),
        ("contended", None, 0),
        ("classic", Some("stale-row"), 1),
        ("classic", Some("forged-update"), 1),
    ] {
        let text = format!("[run]\ncycles = 2\nseed = 3\n{}{TABLE}", small("concurrent", (60, 3, 4), ""));
        let text = text.replace("scale =", &format!("mode = \"{mode}\"\nscale ="));
        let config = configuration(dir.path(), &text);
        let state = dir.path().join(format!("{mode}-{}", plant.unwrap_or("sound")));
        let more: Vec<&str> = plant.map_or_else(Vec::new, |plant| vec!["--plant", plant, "--testing"]);
        let ended = ended(&mut run_command(&config, &state, &more));
        assert_eq!(ended.code, Some(code), "{mode} {plant:?}: {}{}", ended.stdout, ended.stderr);
    }
}
