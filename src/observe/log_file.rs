//! Log lines in one file of bounded size with one predecessor: the workers' and the target's, and the daemon's own while the
//! terminal shows a dashboard.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Size at which the file becomes the predecessor.
const BYTES_MAX: u64 = 32 << 20;

/// A log file that starts over when it is full.
pub struct LogFile {
    path: PathBuf,
    out: BufWriter<File>,
    written: u64,
}

impl LogFile {
    /// Opens the file for appending.
    pub fn open(path: PathBuf) -> std::io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, out: BufWriter::new(file), written })
    }

    /// Writes one line.
    pub fn line(&mut self, line: &str) -> std::io::Result<()> {
        if self.written + line.len() as u64 >= BYTES_MAX {
            self.out.flush()?;
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.out = BufWriter::new(OpenOptions::new().create(true).append(true).open(&self.path)?);
            self.written = 0;
        }
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        self.written += line.len() as u64 + 1;
        Ok(())
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Takes whole lines, each with its end.
impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line(&String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes)))?;
        self.out.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_predecessor_and_nothing_grows_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/workers.log");
        let mut log = LogFile::open(path.clone()).unwrap();
        let line = "x".repeat(1 << 20);
        for _ in 0..70 {
            log.line(&line).unwrap();
        }
        log.flush().unwrap();
        let size = |p: &std::path::Path| std::fs::metadata(p).unwrap().len();
        assert!(size(&path) <= BYTES_MAX && size(&path.with_extension("log.1")) <= BYTES_MAX);
        assert_eq!(std::fs::read_dir(dir.path().join("logs")).unwrap().count(), 2);
    }

    #[test]
    fn whole_lines_are_in_the_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/daemon.log");
        let mut log = LogFile::open(path.clone()).unwrap();
        log.write_all(b"one\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        log.write_all("two \u{e4}\n".as_bytes()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo \u{e4}\n");
    }
}
