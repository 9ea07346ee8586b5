//! The open descriptors of a process: how many, of which kind, and what files that are deleted already still take.

use std::io;
use std::os::unix::fs::MetadataExt;

/// Descriptors that are told apart at most; a process with more of them has a count only.
pub const KINDS_MAX: usize = 4096;
/// Bytes of a block as `stat` counts them.
const BLOCK: u64 = 512;

/// The open descriptors of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    pub total: u64,
    /// Absent when there are too many to tell apart.
    pub kinds: Option<Kinds>,
}

/// Open descriptors by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    pub files: u64,
    pub sockets: u64,
    pub pipes: u64,
    /// Timers, events, epoll and the like.
    pub other: u64,
    /// What deleted files take on the disk as long as they are open: SQLite's temporary files among others.
    pub deleted_bytes: u64,
}

/// Counts the descriptors of a process, and tells up to `kinds_max` of them apart.
pub(super) fn read(pid: u32, kinds_max: usize) -> io::Result<Descriptors> {
    let (mut total, mut kinds) = (0, Kinds::default());
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path = entry?.path();
        total += 1;
        // One that was closed meanwhile is of no kind any more.
        if total > kinds_max as u64 {
            continue;
        }
        let Ok(target) = std::fs::read_link(&path) else { continue };
        let name = target.as_os_str().as_encoded_bytes();
        if name.starts_with(b"/memfd:") {
            // It lives in memory, not on a disk.
            kinds.other += 1;
        } else if name.starts_with(b"/") {
            kinds.files += 1;
            if name.ends_with(b" (deleted)") {
                kinds.deleted_bytes += std::fs::metadata(&path).map_or(0, |meta| meta.blocks() * BLOCK);
            }
        } else if name.starts_with(b"socket:") {
            kinds.sockets += 1;
        } else if name.starts_with(b"pipe:") {
            kinds.pipes += 1;
        } else {
            kinds.other += 1;
        }
    }
    Ok(Descriptors { total, kinds: (total <= kinds_max as u64).then_some(kinds) })
}
