//! Where an installed soakd has its files: the configurations that the units run, and the state that belongs to each. Knows
//! names only, and reads no configuration.

use std::path::{Path, PathBuf};

/// Directory of the units' configurations: `soakd.toml`, and `NAME.toml` of `soakd@NAME`.
const CONFIG_DIR: &str = "/etc/soakd";
/// Configuration of the unit `soakd`.
const CONFIG: &str = "/etc/soakd/soakd.toml";
/// State directory of the unit `soakd`; that of `soakd@NAME` has the name behind it.
const STATE_DIR: &str = "/var/lib/soakd";
/// Configuration in the working directory.
const HERE: &str = "soakd.toml";

/// Returns the state directory of a unit's configuration, for one that does not name any.
pub fn state_dir(config: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(config).ok()?;
    let name = file.file_name()?.to_str()?.strip_suffix(".toml")?;
    let ours = file.parent()? == Path::new(CONFIG_DIR) && !name.is_empty();
    ours.then(|| if name == "soakd" { STATE_DIR.into() } else { format!("{STATE_DIR}-{name}").into() })
}

/// Returns the configuration of the unit `soakd`, if it is installed.
pub fn config() -> Option<PathBuf> {
    Path::new(CONFIG).exists().then(|| CONFIG.into())
}

/// Returns the configuration that is looked at where none is named: the one here, or the unit's if there is none here.
pub fn default_config() -> PathBuf {
    let here = PathBuf::from(HERE);
    if here.exists() { here } else { config().unwrap_or(here) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_unit_lies_where_the_unit_may_write() {
        for (config, state) in [
            ("/etc/soakd/soakd.toml", Some("/var/lib/soakd")),
            ("/etc/soakd/one.toml", Some("/var/lib/soakd-one")),
            ("/etc/soakd/./one.toml", Some("/var/lib/soakd-one")),
            ("/etc/soakd/.toml", None),
            ("/etc/soakd/more/one.toml", None),
            ("/etc/soakd/one.conf", None),
            ("/home/one/soakd.toml", None),
            ("soakd.toml", None),
        ] {
            assert_eq!(state_dir(Path::new(config)).as_deref(), state.map(Path::new), "{config}");
        }
        for unit in [include_str!("../../systemd/soakd.service"), include_str!("../../systemd/soakd@.service")] {
            let setting = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).expect("the unit sets it");
            let config = setting("ExecStart=/usr/bin/soakd run -c ");
            let dir = state_dir(Path::new(config)).expect("a place");
            assert_eq!(dir, Path::new("/var/lib").join(setting("StateDirectory=")));
        }
    }
}
