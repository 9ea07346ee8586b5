//! Access tokens: how they look, how they are kept (hashed) and why one is refused.

use rand::Rng;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why a request has no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    #[error("no access token was sent")]
    Missing,
    #[error("the access token is not known")]
    Garbage,
    #[error("the access token has expired")]
    Expired,
    #[error("the access token was revoked")]
    Revoked,
}

impl TokenError {
    /// Returns the code of the error body.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Garbage => "token_invalid",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
        }
    }
}

/// A token as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub hash: [u8; 32],
    pub user_id: String,
    pub name: String,
    pub expires_at_ms: Option<i64>,
}

/// Makes a token's text: a number and a random part; it is shown once and never kept.
pub fn generate() -> String {
    let mut random = [0u8; 24];
    rand::rng().fill_bytes(&mut random);
    let number = u32::from_le_bytes([random[0], random[1], random[2], 0]);
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{number}|soakd_{secret}")
}

/// Returns the hash by which a token is known.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Compares two secrets in a time that does not depend on where they differ.
pub fn same_secret(left: &str, right: &str) -> bool {
    let (left, right) = (hash(left), hash(right));
    left.iter().zip(right).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// Judges a kept token at the time `now_ms`.
pub fn judge(user: String, expires_at_ms: Option<i64>, revoked: bool, now_ms: i64) -> Result<String, TokenError> {
    match expires_at_ms {
        _ if revoked => Err(TokenError::Revoked),
        Some(expires) if expires <= now_ms => Err(TokenError::Expired),
        _ => Ok(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_secrets_compare() {
        let (one, two) = (generate(), generate());
        assert_ne!(one, two);
        assert!(
            one.split_once("|soakd_").is_some_and(|(number, rest)| number.parse::<u32>().is_ok() && rest.len() == 48)
        );
        assert!(same_secret(&one, &one.clone()));
        assert!(!same_secret(&one, &two));
    }

    #[test]
    fn a_token_ends_when_it_expires_or_is_revoked() {
        assert_eq!(judge("u".into(), Some(10), false, 9), Ok("u".into()));
        assert_eq!(judge("u".into(), Some(10), false, 10), Err(TokenError::Expired));
        assert_eq!(judge("u".into(), None, true, 0), Err(TokenError::Revoked));
    }
}
