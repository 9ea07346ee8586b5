//! What the system permits this process: its resource limits, and those of the control groups that it is in.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// Resource limits; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub descriptors: Option<u64>,
    /// Processes and threads of the user.
    pub processes: Option<u64>,
    pub file_size: Option<u64>,
    pub core: Option<u64>,
}

/// Returns the soft limits of this process.
pub fn own() -> Limits {
    let soft = |resource| getrlimit(resource).current;
    Limits {
        descriptors: soft(Resource::Nofile),
        processes: soft(Resource::Nproc),
        file_size: soft(Resource::Fsize),
        core: soft(Resource::Core),
    }
}

/// The tightest limits of all control groups around this process; `None` is unlimited or not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Group {
    pub memory: Option<u64>,
    pub tasks: Option<u64>,
}

/// Reads the limits of the control groups.
pub fn group() -> Group {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_in(Path::new("/sys/fs/cgroup"), &own)
}

/// Reads the limits for the text of `/proc/self/cgroup`: lines such as `0::/path` or, in the older layout, `4:memory:/path`.
fn group_in(root: &Path, own: &str) -> Group {
    let mut group = Group::default();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let has = |name: &str| controllers.split(',').any(|controller| controller == name);
        if controllers.is_empty() {
            group.memory = least(group.memory, tightest(root, root, path, "memory.max"));
            group.tasks = least(group.tasks, tightest(root, root, path, "pids.max"));
        } else if has("memory") {
            let top = root.join("memory");
            group.memory = least(group.memory, tightest(&top, &top, path, "memory.limit_in_bytes"));
        } else if has("pids") {
            let top = root.join("pids");
            group.tasks = least(group.tasks, tightest(&top, &top, path, "pids.max"));
        }
    }
    group
}

/// Returns the smallest value of a file in a group and all groups above it, up to `top`.
fn tightest(root: &Path, top: &Path, path: &str, file: &str) -> Option<u64> {
    /// What the older layout writes for "no limit", and everything above.
    const NO_LIMIT: u64 = 1 << 60;
    let own: PathBuf = root.join(path.trim_start_matches('/'));
    let above = own.ancestors().take_while(|at| at.starts_with(top));
    let values = above.filter_map(|at| std::fs::read_to_string(at.join(file)).ok()?.trim().parse::<u64>().ok());
    values.filter(|value| *value < NO_LIMIT).min()
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        let unit = dir.path().join("system.slice/soakd.service");
        std::fs::create_dir_all(&unit).unwrap();
        std::fs::write(unit.join("memory.max"), "max\n").unwrap();
        std::fs::write(unit.join("pids.max"), "512\n").unwrap();
        std::fs::write(dir.path().join("system.slice/memory.max"), "1073741824\n").unwrap();
        let group = group_in(dir.path(), "0::/system.slice/soakd.service\n");
        assert_eq!(group, Group { memory: Some(1 << 30), tasks: Some(512) });
        assert_eq!(group_in(dir.path(), "0::/other\nnonsense\n"), Group::default());
    }

    #[test]
    fn the_older_layout_is_read_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("memory/a")).unwrap();
        std::fs::write(dir.path().join("memory/a/memory.limit_in_bytes"), "4096").unwrap();
        std::fs::write(dir.path().join("memory/memory.limit_in_bytes"), "9223372036854771712").unwrap();
        let group = group_in(dir.path(), "5:cpu,memory:/a\n3:pids:/a\n");
        assert_eq!(group, Group { memory: Some(4096), tasks: None });
    }

    #[test]
    fn own_limits_are_the_systems() {
        let seen = crate::probe::process::read("daemon", std::process::id(), false).unwrap().unwrap();
        assert_eq!(own().descriptors.unwrap_or(u64::MAX), seen.usage.descriptors_max);
    }
}
