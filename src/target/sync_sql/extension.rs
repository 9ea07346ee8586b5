//! Loading somebody else's shared library: checks first, so that an error names its cause and not the loader's view of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, LoadExtensionGuard};
use sha2::{Digest, Sha256};

use super::SyncError;

const CHECKING: &str = "checking the extension";
const LOADING: &str = "loading the extension";

/// Offsets and values of the ELF header that tell what a library is for.
const ELF_HEADER_BYTES: usize = 20;
const ELF_MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

/// Checks that the file is a shared library for this machine, and the one that was asked for.
pub fn check_file(path: &Path, sha256: Option<&str>) -> Result<(), SyncError> {
    let refused = |why: String| SyncError::config(CHECKING, &format!("{} {why}", path.display()));
    let meta =
        path.metadata().map_err(|e| refused(format!("cannot be read ({e}); give the full path of the library")))?;
    if !meta.is_file() {
        return Err(refused("is not a regular file".into()));
    }
    let mut file =
        File::open(path).map_err(|e| refused(format!("cannot be opened ({e}); check its owner and mode")))?;
    let mut header = [0_u8; ELF_HEADER_BYTES];
    if file.read_exact(&mut header).is_err() || header[..4] != *b"\x7fELF" {
        return Err(refused(
            "is not an ELF shared library; was an archive or an error page saved under its name?".into(),
        ));
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    if header[4] != 2 || machine != ELF_MACHINE {
        let arch = std::env::consts::ARCH;
        return Err(refused(format!("is built for another machine (ELF machine {machine}); get the one for {arch}")));
    }
    let Some(wanted) = sha256 else { return Ok(()) };
    let mut file = File::open(path).map_err(|e| refused(format!("cannot be opened ({e})")))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(|e| refused(format!("cannot be read ({e})")))?;
    let found: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if !found.eq_ignore_ascii_case(wanted.trim()) {
        return Err(refused(format!(
            "has sha256 {found}, but {wanted} is asked for; it is another version or damaged"
        )));
    }
    Ok(())
}

/// Loads the library into the connection; the permission to load is gone again when this returns.
#[expect(unsafe_code, reason = "loading a shared library runs its code, which is what the user asks for by naming it")]
pub(super) fn load(conn: &Connection, path: &Path, entry_point: &str) -> Result<(), SyncError> {
    check_file(path, None)?;
    if entry_point.is_empty() || entry_point.contains('\0') {
        return Err(SyncError::config(LOADING, "the entry point is empty; CloudSync's is sqlite3_cloudsync_init"));
    }
    // A bare name would be searched for in the system's library paths instead of here.
    let path = path.canonicalize().map_err(|e| SyncError::config(LOADING, &format!("{}: {e}", path.display())))?;
    let loaded = {
        // SAFETY: no statement runs while the guard permits loading.
        let guard = unsafe { LoadExtensionGuard::new(conn) };
        // SAFETY: the file is a library for this machine that the user named, and its entry point is given.
        guard.and_then(|_open| unsafe { conn.load_extension(&path, Some(entry_point)) })
    };
    loaded.map_err(|error| explained(&path, entry_point, &error))
}

/// Says what to do about a library that does not load.
fn explained(path: &Path, entry_point: &str, error: &rusqlite::Error) -> SyncError {
    let text = error.to_string();
    let advice = if text.contains("libssl") || text.contains("libcrypto") {
        "install OpenSSL 3 (package libssl3)"
    } else if text.contains("undefined symbol") && text.contains(entry_point) {
        "the library has no such entry point; set provider.extension.entry_point (CloudSync: sqlite3_cloudsync_init)"
    } else if text.contains("undefined symbol") {
        "the library needs a symbol that this program does not have; use a version made for SQLite 3.54 or older"
    } else if text.contains("GLIBC") {
        "the library needs a newer C library; use a newer system or an older library"
    } else if text.contains("cannot open shared object") {
        "a library that it depends on is missing; `ldd` names it"
    } else {
        "check that it is a SQLite extension for this system"
    };
    SyncError::config(LOADING, &format!("{} (entry point {entry_point}): {text}; {advice}", path.display()))
}
