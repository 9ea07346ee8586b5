//! The Unix socket: where it is, and how it is made without taking it from somebody who listens there.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::server::BindError;
use crate::config::ApiConfig;

/// Name of the socket where the configuration gives no path.
const NAME: &str = "soakd.sock";
/// Bytes that the kernel permits for the path of a socket.
pub(super) const PATH_BYTES_MAX: usize = 107;
/// The owner and the group may ask and command.
const MODE: u32 = 0o660;

/// Returns the path that a daemon listens on: the configured one, or in the runtime directory that systemd gives, or in the
/// state directory.
pub fn socket_path(config: &ApiConfig, state_dir: &Path) -> PathBuf {
    path_in(config, state_dir, std::env::var("RUNTIME_DIRECTORY").ok().as_deref())
}

fn path_in(config: &ApiConfig, state_dir: &Path, runtime: Option<&str>) -> PathBuf {
    let given = runtime.and_then(|all| all.split(':').next()).filter(|dir| !dir.is_empty());
    match (&config.socket, given) {
        (Some(path), _) => path.clone(),
        (None, Some(dir)) => Path::new(dir).join(NAME),
        (None, None) => state_dir.join(NAME),
    }
}

/// Returns the path by which a client reaches the daemon of a state directory: a daemon that listens elsewhere leaves a link
/// there.
pub fn reachable_path(config: &ApiConfig, state_dir: &Path) -> PathBuf {
    match &config.socket {
        Some(path) if path.exists() => path.clone(),
        _ => state_dir.join(NAME),
    }
}

/// A socket file that is removed when it is no longer needed.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
    link: Option<PathBuf>,
}

impl SocketFile {
    /// Returns the path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another daemon may have put its own in this place.
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
            if let Some(link) = self.link.as_ref().filter(|link| points_to(link, &self.path)) {
                let _ = fs::remove_file(link);
            }
        }
    }
}

/// Listens on a socket; the file of a daemon that is gone is replaced.
pub(super) fn listen(path: &Path, state_dir: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let bytes = path.as_os_str().len();
    if bytes > PATH_BYTES_MAX {
        return Err(BindError::TooLong { path: path.to_owned(), bytes });
    }
    check_parent(path)?;
    remove_stale(path)?;
    let failed = |source| BindError::Socket { path: path.to_owned(), source };
    let listener = UnixListener::bind(path).map_err(failed)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    let mut file = SocketFile { path: path.to_owned(), inode, link: None };
    fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    file.link = link(path, state_dir);
    Ok((listener, file))
}

fn check_parent(path: &Path) -> Result<(), BindError> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(BindError::Parent { dir: path.to_owned(), why: "it is not a directory".to_owned() }),
    };
    let refused = |why: String| BindError::Parent { dir: parent.to_owned(), why };
    let meta = fs::metadata(parent).map_err(|e| refused(e.to_string()))?;
    if !meta.is_dir() {
        return Err(refused("it is not a directory".to_owned()));
    }
    if meta.mode() & 0o002 != 0 && meta.mode() & 0o1000 == 0 {
        return Err(refused("every user may replace files in it; chmod o-w it".to_owned()));
    }
    Ok(())
}

/// Removes a socket file that nobody answers on.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Socket { path: path.to_owned(), source };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    if !meta.file_type().is_socket() && !meta.is_symlink() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            fs::remove_file(path).map_err(failed)
        }
        Err(e) => Err(failed(e)),
    }
}

/// Leaves a link in the state directory to a socket elsewhere; commands that are given the state directory follow it.
fn link(path: &Path, state_dir: &Path) -> Option<PathBuf> {
    let link = state_dir.join(NAME);
    if link == path {
        return None;
    }
    let target = std::path::absolute(path).ok()?;
    let ours = fs::symlink_metadata(&link).is_ok_and(|meta| meta.is_symlink() || meta.file_type().is_socket());
    if ours {
        let _ = fs::remove_file(&link);
    }
    match std::os::unix::fs::symlink(&target, &link) {
        Ok(()) => Some(link),
        Err(error) => {
            tracing::warn!(link = %link.display(), %error, "no link to the socket: give commands --socket");
            None
        }
    }
}

fn points_to(link: &Path, path: &Path) -> bool {
    fs::read_link(link).is_ok_and(|target| std::path::absolute(path).is_ok_and(|path| path == target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_comes_before_systemd_and_that_before_the_state_directory() {
        let mut config = ApiConfig::default();
        let at = |config: &ApiConfig, runtime| path_in(config, Path::new("/s"), runtime).display().to_string();
        assert_eq!(at(&config, None), "/s/soakd.sock");
        assert_eq!(at(&config, Some("")), "/s/soakd.sock");
        assert_eq!(at(&config, Some("/run/soakd:/run/more")), "/run/soakd/soakd.sock");
        config.socket = Some("/x/y".into());
        assert_eq!(at(&config, Some("/run/soakd")), "/x/y");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the file of a dead daemon stays");
        let (listener, file) = listen(&path, dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        let second = listen(&path, dir.path()).unwrap_err().to_string();
        assert!(second.contains("another soakd answers"), "{second}");
        drop((listener, file));
        assert!(!path.exists(), "it is removed in the end");
    }

    #[test]
    fn what_cannot_be_a_socket_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        fs::write(&path, "precious").unwrap();
        let why = listen(&path, dir.path()).unwrap_err().to_string();
        assert!(why.contains("is not a socket"), "{why}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let long = dir.path().join("x".repeat(PATH_BYTES_MAX));
        let why = listen(&long, dir.path()).unwrap_err().to_string();
        assert!(why.contains("at most 107") && why.contains("api.socket"), "{why}");
        let why = listen(&dir.path().join("no/where"), dir.path()).unwrap_err().to_string();
        assert!(why.contains("no") && why.contains("directory"), "{why}");
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let why = listen(&open.join(NAME), dir.path()).unwrap_err().to_string();
        assert!(why.contains("chmod o-w"), "{why}");
    }

    #[test]
    fn a_socket_elsewhere_is_found_by_the_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (run, state) = (dir.path().join("run"), dir.path().join("state"));
        fs::create_dir(&run).unwrap();
        fs::create_dir(&state).unwrap();
        for _ in 0..2 {
            let (listener, file) = listen(&run.join("s"), &state).unwrap();
            UnixStream::connect(state.join(NAME)).unwrap();
            // A daemon that is killed leaves both behind.
            std::mem::forget((listener, file));
            fs::remove_file(run.join("s")).unwrap();
        }
        let (listener, file) = listen(&run.join("s"), &state).unwrap();
        drop((listener, file));
        assert!(fs::symlink_metadata(state.join(NAME)).is_err(), "the link goes with the socket");
    }
}
