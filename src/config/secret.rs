//! Secrets are references: to an environment variable, a file, or a systemd credential. The configuration file never holds one;
//! one that was given on the command line stays in memory.
//!
//! A value, once found, lives in a [`SecretString`], which shows nothing when printed.

use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// Longest secret that is read.
const MAX_SECRET: u64 = 64 * 1024;

/// Where a secret is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    Env(String),
    File(PathBuf),
    /// Name of a credential in `$CREDENTIALS_DIRECTORY` (systemd `LoadCredential=`).
    Credential(String),
    /// What was given on the command line; no file can hold it.
    #[serde(skip_deserializing)]
    Argument(Argument),
}

/// A secret that was given on the command line: written down by the name of its option only.
#[derive(Debug, Clone)]
pub struct Argument {
    name: &'static str,
    value: SecretString,
}

impl Argument {
    /// Returns the argument of an option such as `--url`.
    pub fn new(name: &'static str, value: &str) -> Self {
        Self { name, value: SecretString::from(value) }
    }
}

impl PartialEq for Argument {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value.expose_secret() == other.value.expose_secret()
    }
}

impl Eq for Argument {}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("environment variable {0} is not set")]
    Unset(String),
    #[error("environment variable {0} is not valid text")]
    NotText(String),
    #[error("cannot read the secret from {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the secret in {0} is empty")]
    Empty(String),
    #[error("the secret in {0} holds a line break or another control character")]
    Malformed(String),
    #[error("credential {0} is not to be had: CREDENTIALS_DIRECTORY is not set (systemd sets it with LoadCredential=)")]
    NoCredentials(String),
}

impl SecretRef {
    /// Looks the secret up.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        self.resolve_in(|name| std::env::var_os(name))
    }

    /// Looks the secret up with another way to read environment variables.
    pub fn resolve_in(&self, env: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Env(name) => env(name)
                .ok_or_else(|| SecretError::Unset(name.clone()))?
                .into_string()
                .map_err(|_| SecretError::NotText(name.clone()))?,
            Self::File(path) => read(path)?,
            Self::Argument(argument) => argument.value.expose_secret().to_owned(),
            Self::Credential(name) => {
                let dir = env("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                read(&Path::new(&dir).join(name))?
            }
        };
        // A secret goes into request headers and connection strings: a control character there is an injection.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        if text.chars().any(char::is_control) {
            return Err(SecretError::Malformed(self.to_string()));
        }
        Ok(SecretString::from(text))
    }

    /// Returns what is wrong with the permissions of the secret's file, if others may read it.
    pub fn exposure(&self) -> Option<String> {
        use std::os::unix::fs::PermissionsExt;
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        let open = mode & 0o077 != 0;
        open.then(|| format!("{} can be read by others (mode {mode:o}); chmod 600 it", path.display()))
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Argument(argument) => write!(f, "argument {}", argument.name),
        }
    }
}

fn read(path: &Path) -> Result<String, SecretError> {
    let failed = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let read = file.take(MAX_SECRET + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > MAX_SECRET {
        return Err(failed(std::io::Error::other("it is larger than 64 KiB")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_found_and_never_shown() {
        let secret = SecretRef::Argument(Argument::new("--url", "postgres://me:hunter2@host/x"));
        assert_eq!(secret.resolve().expect("a secret").expose_secret(), "postgres://me:hunter2@host/x");
        let written = serde_json::to_string(&secret).expect("a text");
        assert_eq!((written.as_str(), secret.to_string().as_str()), (r#"{"argument":"--url"}"#, "argument --url"));
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(serde_json::from_str::<SecretRef>(&written).is_err(), "no file can say what was an argument");
    }

    #[test]
    fn a_file_loses_its_newline_and_shows_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        std::fs::write(&path, "hunter2\r\n").expect("a file");
        let secret = SecretRef::File(path).resolve().expect("a secret");
        assert_eq!(secret.expose_secret(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn exposure_names_a_file_that_others_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        std::fs::write(&path, "x").expect("a file");
        for (mode, open) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
            assert_eq!(SecretRef::File(path.clone()).exposure().is_some(), open, "{mode:o}");
        }
    }

    #[test]
    fn places_without_a_secret_are_named_without_a_value() {
        let none = |_: &str| None;
        let error = SecretRef::Env("KEY".into()).resolve_in(none).expect_err("nothing there");
        assert_eq!(error.to_string(), "environment variable KEY is not set");
        let error = SecretRef::Credential("key".into()).resolve_in(none).expect_err("nothing there");
        assert!(error.to_string().contains("CREDENTIALS_DIRECTORY"));
        let broken = |_: &str| Some("two\nlines".into());
        let error = SecretRef::Env("KEY".into()).resolve_in(broken).expect_err("malformed");
        assert!(!error.to_string().contains("two"));
    }

    #[test]
    fn a_credential_comes_from_its_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("key"), "s3cret\n").expect("a file");
        let here = dir.path().as_os_str().to_owned();
        let secret = SecretRef::Credential("key".into()).resolve_in(|_| Some(here.clone())).expect("a secret");
        assert_eq!(secret.expose_secret(), "s3cret");
    }
}
