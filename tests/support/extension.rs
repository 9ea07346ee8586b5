//! Libraries that the tests load: the real extension, and a small one of ours that crashes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Path of the real extension; fails with the command that fetches it.
#[allow(dead_code)]
pub(crate) fn cloudsync() -> PathBuf {
    let cached = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/cloudsync/cloudsync.so");
    let path = std::env::var_os("SOAKD_TEST_CLOUDSYNC").map_or(cached, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run tests/support/fetch-cloudsync.sh, or set SOAKD_TEST_CLOUDSYNC to the library",
        path.display()
    );
    path
}

/// Compiles the extension that ends its process when it is asked to send.
#[allow(dead_code)]
pub(crate) fn compile_abort_extension(dir: &Path) -> PathBuf {
    compile(dir, None)
}

/// Compiles the extension that does so only in databases whose path holds `part`.
#[allow(dead_code)]
pub(crate) fn compile_abort_extension_in(dir: &Path, part: &str) -> PathBuf {
    compile(dir, Some(part))
}

fn compile(dir: &Path, crash_in: Option<&str>) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/abort_extension.c");
    let library = dir.join("abort_extension.so");
    let output = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .args(crash_in.map(|part| format!("-DCRASH_IN=\"{part}\"")))
        .output()
        .expect("this test needs a C compiler called cc");
    assert!(output.status.success(), "cc failed: {}", String::from_utf8_lossy(&output.stderr));
    library
}
