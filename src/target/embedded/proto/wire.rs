//! Numbers, texts and cells as bytes, and back with every length checked against what is there.

use thiserror::Error;

use crate::model::value::Cell;

/// What is wrong with bytes that should have been a frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("not a frame of soakd's sync protocol")]
    Magic,
    #[error("protocol version {0} is not known here, this side speaks version {known}", known = super::VERSION)]
    Version(u8),
    #[error("a frame of kind {found} where kind {expected} belongs")]
    Kind { expected: u8, found: u8 },
    #[error("the frame ends early")]
    Truncated,
    #[error("bytes are left over after the end of the frame")]
    Trailing,
    #[error("a length of {0} is more than the limit of {1}")]
    TooLarge(u64, usize),
    #[error("a number of more than 64 bits")]
    Number,
    #[error("a text that is not UTF-8")]
    Utf8,
    #[error("unknown tag {0}")]
    Tag(u8),
    #[error("the compressed body cannot be read")]
    Compression,
}

/// Appends to a byte vector.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn cell(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => self.byte(0),
            Cell::Int(n) => {
                self.byte(1);
                // Zigzag, so that small negative numbers stay short.
                self.number(((n << 1) ^ (n >> 63)) as u64);
            }
            Cell::Real(x) => {
                self.byte(2);
                self.0.extend_from_slice(&x.to_bits().to_le_bytes());
            }
            Cell::Text(text) => {
                self.byte(3);
                self.text(text);
            }
            Cell::Blob(bytes) => {
                self.byte(4);
                self.blob(bytes);
            }
        }
    }
}

/// Reads from the front of a byte slice.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }

    pub(super) fn byte(&mut self) -> Result<u8, WireError> {
        let (first, rest) = self.0.split_first().ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn flag(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(WireError::Tag(other)),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(WireError::Number);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(WireError::Number)
    }

    /// Reads a number that says how many of something follow.
    pub(super) fn length(&mut self, limit: usize) -> Result<usize, WireError> {
        let number = self.number()?;
        usize::try_from(number).ok().filter(|n| *n <= limit).ok_or(WireError::TooLarge(number, limit))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn blob(&mut self) -> Result<&'a [u8], WireError> {
        let count = self.length(super::MAX_BODY)?;
        self.bytes(count)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.blob()?).map_err(|_| WireError::Utf8)
    }

    pub(super) fn cell(&mut self) -> Result<Cell<'a>, WireError> {
        Ok(match self.byte()? {
            0 => Cell::Null,
            1 => {
                let n = self.number()?;
                Cell::Int((n >> 1) as i64 ^ -((n & 1) as i64))
            }
            2 => {
                let bytes = self.bytes(8)?;
                Cell::Real(f64::from_bits(u64::from_le_bytes(bytes.try_into().map_err(|_| WireError::Truncated)?)))
            }
            3 => Cell::Text(self.text()?),
            4 => Cell::Blob(self.blob()?),
            other => return Err(WireError::Tag(other)),
        })
    }
}
