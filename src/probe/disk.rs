//! A file system and a directory tree: what is free, what kind it is, and what a tree takes. Symbolic links are not followed.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a block as `stat` counts them.
const BLOCK: u64 = 512;

/// Returns the bytes that an unprivileged user may still write below a path.
pub fn free(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// What a directory tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tree {
    /// Bytes on the disk, as the file system counts them.
    pub bytes: u64,
    pub entries: u64,
    /// False if the walk was ended before it had seen everything.
    pub complete: bool,
}

/// Measures a tree; looks at `entries_max` entries at most, and ends early when `stop` says so. What vanishes meanwhile counts
/// nothing, and another file system that is mounted within the tree is none of its business.
pub fn tree(root: &Path, entries_max: u64, stop: &dyn Fn() -> bool) -> io::Result<Tree> {
    let top = std::fs::symlink_metadata(root)?;
    let mut tree = Tree { bytes: top.blocks() * BLOCK, entries: 1, complete: true };
    let mut directories: Vec<PathBuf> = if top.is_dir() { vec![root.to_owned()] } else { Vec::new() };
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            if tree.entries >= entries_max || stop() {
                tree.complete = false;
                return Ok(tree);
            }
            // Metadata of an entry is that of a link itself.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.dev() != top.dev() {
                continue;
            }
            tree.entries += 1;
            tree.bytes = tree.bytes.saturating_add(meta.blocks().saturating_mul(BLOCK));
            if meta.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(tree)
}

/// What becomes of what is written to a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Nothing is known that speaks against it.
    Disk,
    /// It lives in memory and is gone after a restart of the machine.
    Memory(&'static str),
    /// It is another machine's, with locks and syncs that are not always what they seem.
    Network(&'static str),
}

/// Returns the kind of the file system that a path is on.
pub fn file_system(path: &Path) -> io::Result<FileSystem> {
    let kind = rustix::fs::statfs(path)?.f_type;
    // Magic numbers from the kernel's linux/magic.h; they have 32 bits on every machine.
    let kind = kind as u32;
    Ok(match kind {
        0x0102_1994 => FileSystem::Memory("tmpfs"),
        0x8584_58f6 => FileSystem::Memory("ramfs"),
        0x6969 => FileSystem::Network("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => FileSystem::Network("SMB"),
        0x0102_1997 => FileSystem::Network("9p"),
        0x00c3_6400 => FileSystem::Network("Ceph"),
        0x6573_5546 => FileSystem::Network("FUSE"),
        _ => FileSystem::Disk,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_measured_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        let big = dir.path().join("big");
        std::fs::write(&big, vec![1; 4 << 20]).unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(&big, root.join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("a/loop")).unwrap();
        let seen = tree(&root, 1000, &|| false).unwrap();
        assert!(seen.complete && seen.entries == 6, "{seen:?}");
        assert!((1 << 20..2 << 20).contains(&seen.bytes), "{seen:?}");
        assert_eq!(tree(&root, 3, &|| false).unwrap().entries, 3);
        assert!(!tree(&root, 1000, &|| true).unwrap().complete);
        assert!(tree(&root.join("none"), 10, &|| false).is_err());
    }

    #[test]
    fn free_space_and_kind_are_known() {
        assert!(free(Path::new("/")).unwrap() > 0);
        assert!(free(Path::new("/no/such/place")).is_err());
        assert!(file_system(Path::new("/")).is_ok());
        if Path::new("/dev/shm").is_dir() {
            assert_eq!(file_system(Path::new("/dev/shm")).unwrap(), FileSystem::Memory("tmpfs"));
        }
    }
}
