//! Secrets that the daemon has found, and their removal from every line. What is not registered here cannot be recognised:
//! code that handles a secret still must not log it.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

/// Secrets that are looked for; more are not taken.
const SECRETS_MAX: usize = 64;
/// A shorter text stands in innocent words too.
const LENGTH_MIN: usize = 8;
/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Texts that are never shown.
#[derive(Default)]
pub(super) struct Redact {
    /// Each as it is, and as it looks within quotes or an address; longer ones first.
    forms: Vec<SecretString>,
    secrets: usize,
}

static NEVER_SHOWN: RwLock<Redact> = RwLock::new(Redact::new());

/// Registers a secret, so that no line shows it; false if it is too short to be recognised, or there are too many.
pub fn never_show(secret: &SecretString) -> bool {
    NEVER_SHOWN.write().unwrap_or_else(PoisonError::into_inner).add(secret.expose_secret())
}

/// Returns the text without the secrets that were registered.
pub fn redacted(text: &str) -> Cow<'_, str> {
    NEVER_SHOWN.read().unwrap_or_else(PoisonError::into_inner).clean(text)
}

impl Redact {
    pub(super) const fn new() -> Self {
        Self { forms: Vec::new(), secrets: 0 }
    }

    /// Adds a secret, and the password of an address that has one.
    pub(super) fn add(&mut self, secret: &str) -> bool {
        if self.knows(secret) {
            return true;
        }
        if secret.len() < LENGTH_MIN || self.secrets == SECRETS_MAX {
            return false;
        }
        self.secrets += 1;
        let parts = [Some(secret), password(secret)];
        for part in parts.into_iter().flatten().filter(|part| part.len() >= LENGTH_MIN) {
            for form in [part.to_owned(), quoted(part), encoded(part), decoded(part)] {
                if form.len() >= LENGTH_MIN && !self.knows(&form) {
                    self.forms.push(SecretString::from(form));
                }
            }
        }
        // A secret that is part of another one must not leave the rest of it.
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.expose_secret().len()));
        true
    }

    pub(super) fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            if text.contains(form.expose_secret()) {
                text = Cow::Owned(text.replace(form.expose_secret(), HIDDEN));
            }
        }
        text
    }

    fn knows(&self, text: &str) -> bool {
        self.forms.iter().any(|form| form.expose_secret() == text)
    }
}

/// Returns the password in an address such as `postgres://user:password@host/`.
fn password(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Returns the text as debug output shows it, without its quotes.
fn quoted(text: &str) -> String {
    text.escape_debug().collect()
}

/// Returns the text as it stands in an address.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Returns the text that an address stands for.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_all_its_forms() {
        let mut redact = Redact::new();
        assert!(redact.add("geheim\"42/x"));
        assert!(redact.add("postgres://soak:p%40ssw%C3%B6rd@db/soak"));
        for (text, clean) in [
            ("token geheim\"42/x, twice geheim\"42/x", "token ***, twice ***"),
            ("Some(\"geheim\\\"42/x\")", "Some(\"***\")"),
            ("http://h/?k=geheim%2242%2Fx", "http://h/?k=***"),
            ("at postgres://soak:p%40ssw%C3%B6rd@db/soak now", "at *** now"),
            ("password p@sswörd is wrong", "password *** is wrong"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(redact.clean(text), clean);
        }
        assert!(matches!(redact.clean("nothing here"), Cow::Borrowed(_)), "a clean line costs no copy");
    }

    #[test]
    fn a_secret_within_a_longer_one_leaves_nothing_of_it() {
        let mut redact = Redact::new();
        assert!(redact.add("abcdefgh") && redact.add("abcdefgh-ijkl"));
        assert_eq!(redact.clean("abcdefgh-ijkl abcdefgh"), "*** ***");
    }

    #[test]
    fn short_secrets_and_too_many_are_not_taken() {
        let mut redact = Redact::new();
        assert!(!redact.add("root"));
        assert_eq!(redact.clean("root"), "root");
        for n in 0..SECRETS_MAX {
            assert!(redact.add(&format!("a-secret-{n:04}")));
        }
        assert!(!redact.add("one-more-secret"));
        assert!(redact.add("a-secret-0007"), "a known one is as good as taken");
    }
}
