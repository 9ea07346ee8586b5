//! Names of accounts and references of transfers: they look random, and tell whoever knows the seed which operation wrote them.
//! A name is `acct_` and 32 hex digits: eight bytes that follow from seed and key, and the key under a mask that follows from
//! them. A reference is a UUID of version 8: the key of the operation under a mask, a tag over it, and a seal over the content.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::key::Key;

const PREFIX: &str = "acct_";
const TAG_BITS: u32 = 26;
const SEAL_BITS: u32 = 40;
/// What a reference carries of a key: all but the index of the row.
const KEY_BITS: u32 = 56;

/// Words of one hash at most.
const WORDS_MAX: usize = 4;

/// What hashes are for, so that no two of them are of the same words.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    Name = 1,
    NameMask,
    Tag,
    Seal,
    RefMask,
    Value,
    Time,
}

/// Knows every name and value of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    seed: u64,
}

/// The sides of a transfer and what went from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    pub from: i64,
    pub to: i64,
    pub amount: i64,
}

/// What a reference tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The row is as the operation wrote it.
    Intact(Key),
    /// The operation wrote it, with another content.
    Altered(Key),
    /// No operation of this run wrote it.
    Foreign,
}

impl Identity {
    /// Returns the identity of a run.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(super) fn hash(self, purpose: Use, words: &[u64]) -> u64 {
        let mut bytes = [0u8; 8 * (1 + WORDS_MAX)];
        bytes[..8].copy_from_slice(&(purpose as u64).to_le_bytes());
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        xxh3_64_with_seed(&bytes[..8 * (1 + words.len())], self.seed)
    }

    /// Returns the name of the account with a key.
    pub fn name(self, key: Key) -> String {
        let packed = key.pack();
        let head = self.hash(Use::Name, &[packed]);
        format!("{PREFIX}{head:016x}{:016x}", packed ^ self.hash(Use::NameMask, &[head]))
    }

    /// Returns the key of the account with a name; `None` if nobody of this run gave it.
    pub fn read(self, name: &str) -> Option<Key> {
        let digits = name.strip_prefix(PREFIX)?;
        // A sign or an upper-case digit would be read as a number too.
        let plain = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if digits.len() != 32 || !digits.bytes().all(plain) {
            return None;
        }
        let (head, tail) = digits.split_at(16);
        let (head, tail) = (u64::from_str_radix(head, 16).ok()?, u64::from_str_radix(tail, 16).ok()?);
        let packed = tail ^ self.hash(Use::NameMask, &[head]);
        (self.hash(Use::Name, &[packed]) == head).then(|| Key::unpack(packed)).flatten()
    }

    /// Returns the reference of a transfer.
    pub fn reference(self, key: Key, content: Content) -> Uuid {
        let key = key.operation().pack() >> (64 - KEY_BITS);
        let tag = self.tag(key);
        let seal = self.seal(key, content);
        let masked = key ^ self.ref_mask(tag, seal);
        let payload = u128::from(masked) << (TAG_BITS + SEAL_BITS) | u128::from(tag) << SEAL_BITS | u128::from(seal);
        let (high, middle, low) = (payload >> 74, payload >> 62 & 0xfff, payload & ((1 << 62) - 1));
        Uuid::from_u128(high << 80 | 8 << 76 | middle << 64 | 0b10 << 62 | low)
    }

    /// Returns what the reference of a row with this content tells.
    pub fn examine(self, reference: Uuid, content: Content) -> Reference {
        let bits = reference.as_u128();
        if bits >> 76 & 0xf != 8 || bits >> 62 & 0b11 != 0b10 {
            return Reference::Foreign;
        }
        let payload = (bits >> 80) << 74 | (bits >> 64 & 0xfff) << 62 | bits & ((1 << 62) - 1);
        let seal = payload as u64 & ((1 << SEAL_BITS) - 1);
        let tag = (payload >> SEAL_BITS) as u64 & ((1 << TAG_BITS) - 1);
        let key = (payload >> (TAG_BITS + SEAL_BITS)) as u64 ^ self.ref_mask(tag, seal);
        match Key::unpack(key << (64 - KEY_BITS)).filter(|_| self.tag(key) == tag) {
            Some(written) if self.seal(key, content) == seal => Reference::Intact(written),
            Some(written) => Reference::Altered(written),
            None => Reference::Foreign,
        }
    }

    fn tag(self, key: u64) -> u64 {
        self.hash(Use::Tag, &[key]) >> (64 - TAG_BITS)
    }

    fn seal(self, key: u64, content: Content) -> u64 {
        let words = [key, content.from as u64, content.to as u64, content.amount as u64];
        self.hash(Use::Seal, &words) >> (64 - SEAL_BITS)
    }

    fn ref_mask(self, tag: u64, seal: u64) -> u64 {
        self.hash(Use::RefMask, &[tag, seal]) >> (64 - KEY_BITS)
    }
}

#[cfg(test)]
mod tests;
