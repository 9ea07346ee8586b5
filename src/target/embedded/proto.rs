//! The wire format between the native client and the embedded server: framed, compressed binary batches.
//!
//! A frame is `SK`, a version byte, a kind byte, the length of the body as a varint, and the body as one LZ4 block. Numbers
//! are varints, texts and blobs carry their length, cells carry a type tag. Everything read from outside is checked: a frame
//! that is malformed, cut off or too large is an error and never a panic. Nothing here knows what a change means.

mod wire;

use super::{Page, PushReply, Refusal, Verb};
use crate::model::value::Cell;
pub use wire::WireError;
use wire::{Reader, Writer};

/// Version of the format; another one is refused.
pub const VERSION: u8 = 1;
/// Largest body that is accepted, before compression.
pub const MAX_BODY: usize = 16 << 20;
/// Largest number of cells in a row.
const MAX_WIDTH: usize = 2000;

const MAGIC: [u8; 2] = *b"SK";
const PUSH: u8 = 1;
const PUSH_REPLY: u8 = 2;
const PULL: u8 = 3;
const PULL_REPLY: u8 = 4;

/// A list of changes in encoded form, known to be well-formed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

/// One change of a batch; the cells of an upsert are in the buffer that was handed to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeRef<'a> {
    pub key: &'a str,
    pub upsert: bool,
}

impl Batch {
    /// Appends an upsert with the cells in table column order.
    pub fn upsert<'a>(&mut self, key: &str, cells: impl ExactSizeIterator<Item = Cell<'a>>) {
        let mut writer = Writer(&mut self.bytes);
        writer.byte(1);
        writer.text(key);
        writer.number(cells.len() as u64);
        for cell in cells {
            writer.cell(cell);
        }
        self.count += 1;
    }

    /// Appends a delete.
    pub fn delete(&mut self, key: &str) {
        let mut writer = Writer(&mut self.bytes);
        writer.byte(0);
        writer.text(key);
        self.count += 1;
    }

    /// Appends a copy of a change that was read from another batch.
    pub fn copy(&mut self, change: ChangeRef<'_>, cells: &[Cell<'_>]) {
        if change.upsert { self.upsert(change.key, cells.iter().copied()) } else { self.delete(change.key) }
    }

    /// Returns the number of changes.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Says whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the size in bytes before compression.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns a reader over the changes.
    pub fn changes(&self) -> Changes<'_> {
        Changes(Reader(&self.bytes))
    }

    /// Takes an encoded list, after reading all of it once.
    fn checked(bytes: Vec<u8>) -> Result<Self, WireError> {
        let (mut count, mut cells) = (0, Vec::new());
        let mut changes = Changes(Reader(&bytes));
        while changes.next(&mut cells)?.is_some() {
            count += 1;
        }
        Ok(Self { bytes, count })
    }
}

/// Reads the changes of a batch one after another.
pub struct Changes<'a>(Reader<'a>);

impl<'a> Changes<'a> {
    /// Reads the next change; the cells of an upsert replace what is in `cells`.
    pub fn next(&mut self, cells: &mut Vec<Cell<'a>>) -> Result<Option<ChangeRef<'a>>, WireError> {
        cells.clear();
        if self.0.is_empty() {
            return Ok(None);
        }
        let upsert = match self.0.byte()? {
            0 => false,
            1 => true,
            other => return Err(WireError::Tag(other)),
        };
        let key = self.0.text()?;
        if upsert {
            let width = self.0.length(MAX_WIDTH)?;
            for _ in 0..width {
                cells.push(self.0.cell()?);
            }
        }
        Ok(Some(ChangeRef { key, upsert }))
    }
}

/// Changes that a client sends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushRequest {
    pub client: String,
    pub batch_no: u64,
    pub batch: Batch,
}

impl PushRequest {
    /// Encodes the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.batch.bytes.len() + 64);
        let mut writer = Writer(&mut body);
        writer.text(&self.client);
        writer.number(self.batch_no);
        body.extend_from_slice(&self.batch.bytes);
        seal(PUSH, &body)
    }

    /// Decodes a request.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let body = open(PUSH, frame)?;
        let mut reader = Reader(&body);
        let (client, batch_no) = (reader.text()?.to_owned(), reader.number()?);
        let rest = reader.0.len();
        let batch = Batch::checked(body[body.len() - rest..].to_vec())?;
        Ok(Self { client, batch_no, batch })
    }
}

impl PushReply {
    /// Encodes the body alone, as the store remembers it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut writer = Writer(&mut body);
        writer.number(self.applied);
        writer.number(self.seq_first);
        writer.number(self.seq_last);
        writer.number(self.refused.len() as u64);
        for refusal in &self.refused {
            writer.text(&refusal.key);
            writer.byte(refusal.verb.code());
            writer.text(&refusal.reason);
        }
        body
    }

    /// Decodes what [`PushReply::to_bytes`] wrote.
    pub fn from_bytes(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader(body);
        let (applied, seq_first, seq_last) = (reader.number()?, reader.number()?, reader.number()?);
        let count = reader.length(body.len())?;
        let mut refused = Vec::new();
        for _ in 0..count {
            let key = reader.text()?.to_owned();
            let code = reader.byte()?;
            let verb = Verb::from_code(code).ok_or(WireError::Tag(code))?;
            refused.push(Refusal { key, verb, reason: reader.text()?.to_owned() });
        }
        reader.end()?;
        Ok(Self { applied, refused, seq_first, seq_last })
    }

    /// Encodes the reply.
    pub fn encode(&self) -> Vec<u8> {
        seal(PUSH_REPLY, &self.to_bytes())
    }

    /// Decodes a reply.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        Self::from_bytes(&open(PUSH_REPLY, frame)?)
    }
}

/// A question for changes after a watermark.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PullRequest {
    pub client: String,
    pub after: u64,
    pub limit_bytes: u64,
    /// Includes the client's own changes: it starts afresh.
    pub full: bool,
}

impl PullRequest {
    /// Encodes the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut writer = Writer(&mut body);
        writer.text(&self.client);
        writer.number(self.after);
        writer.number(self.limit_bytes);
        writer.byte(u8::from(self.full));
        seal(PULL, &body)
    }

    /// Decodes a request.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let body = open(PULL, frame)?;
        let mut reader = Reader(&body);
        let request = Self {
            client: reader.text()?.to_owned(),
            after: reader.number()?,
            limit_bytes: reader.number()?,
            full: reader.flag()?,
        };
        reader.end()?;
        Ok(request)
    }
}

impl Page {
    /// Encodes the page.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.batch.bytes.len() + 32);
        let mut writer = Writer(&mut body);
        writer.number(self.next);
        writer.byte(u8::from(self.more));
        writer.byte(u8::from(self.reset));
        body.extend_from_slice(&self.batch.bytes);
        seal(PULL_REPLY, &body)
    }

    /// Decodes a page.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let body = open(PULL_REPLY, frame)?;
        let mut reader = Reader(&body);
        let (next, more, reset) = (reader.number()?, reader.flag()?, reader.flag()?);
        let rest = reader.0.len();
        Ok(Self { next, more, reset, batch: Batch::checked(body[body.len() - rest..].to_vec())? })
    }
}

/// Puts a body into a frame.
fn seal(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() / 2 + 16);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[VERSION, kind]);
    Writer(&mut frame).number(body.len() as u64);
    frame.extend_from_slice(&lz4_flex::block::compress(body));
    frame
}

/// Takes a body out of a frame of the expected kind.
fn open(kind: u8, frame: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut reader = Reader(frame);
    if [reader.byte()?, reader.byte()?] != MAGIC {
        return Err(WireError::Magic);
    }
    let version = reader.byte()?;
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let found = reader.byte()?;
    if found != kind {
        return Err(WireError::Kind { expected: kind, found });
    }
    let size = reader.length(MAX_BODY)?;
    let mut body = vec![0; size];
    let written = lz4_flex::block::decompress_into(reader.0, &mut body).map_err(|_| WireError::Compression)?;
    if written != size { Err(WireError::Compression) } else { Ok(body) }
}

#[cfg(test)]
mod tests;
