//! A server that only ever fails: it refuses, stalls, closes, or answers with an error or with junk.
//!
//! It understands nothing of what it is sent, and none of its answers is one that a sync service could give on success.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How the server fails.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code)]
pub(crate) enum Failure {
    /// Reads and never answers.
    Stall,
    /// Closes without an answer.
    Close,
    /// Announces 1000 bytes and closes after 10.
    CloseMidBody,
    /// Greets like another protocol.
    NotHttp,
    /// Answers with this status and body, and keeps the connection open.
    Answer(u16, &'static str),
}

struct Shared {
    failure: Mutex<Failure>,
    open: Mutex<usize>,
    closed: Condvar,
    requests: AtomicUsize,
    stop: AtomicBool,
}

/// A failing server; it stops when it is dropped.
pub(crate) struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

#[allow(dead_code)]
impl Stub {
    pub(crate) fn start(failure: Failure) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            failure: Mutex::new(failure),
            open: Mutex::new(0),
            closed: Condvar::new(),
            requests: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let inner = shared.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &inner));
        Self { address, shared, accepting: Some(accepting) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn fail_with(&self, failure: Failure) {
        *self.shared.failure.lock().unwrap() = failure;
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Waits until the other side has closed every connection; returns false if it does not.
    pub(crate) fn all_closed(&self) -> bool {
        let open = self.shared.open.lock().unwrap();
        let (open, _) = self.shared.closed.wait_timeout_while(open, Duration::from_secs(10), |n| *n > 0).unwrap();
        *open == 0
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

/// Returns an address that refuses connections.
#[allow(dead_code)]
pub(crate) fn refused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    format!("http://{}", listener.local_addr().expect("a bound socket has an address"))
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        *shared.open.lock().unwrap() += 1;
        let shared = shared.clone();
        std::thread::spawn(move || {
            // Bounds every thread, whatever the client does.
            drop(stream.set_read_timeout(Some(Duration::from_secs(20))));
            drop(serve(&stream, &shared));
            drop(stream);
            *shared.open.lock().unwrap() -= 1;
            shared.closed.notify_all();
        });
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while read_request(&mut reader)? {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let failure = *shared.failure.lock().unwrap();
        match failure {
            Failure::Stall => {
                // Returns when the client gives up.
                drop(reader.read(&mut [0; 1]));
                return Ok(());
            }
            Failure::Close => return stream.shutdown(Shutdown::Both),
            Failure::CloseMidBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789")?;
                return stream.shutdown(Shutdown::Both);
            }
            Failure::NotHttp => {
                stream.write_all(b"220 mail.invalid ESMTP\r\n")?;
                return stream.shutdown(Shutdown::Both);
            }
            Failure::Answer(status, body) => {
                let place = if status == 302 { "Location: http://127.0.0.1:1/\r\n" } else { "" };
                let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                let body = if status == 204 { "" } else { body };
                write!(stream, "HTTP/1.1 {status} Stub\r\n{place}{length}\r\n{body}")?;
            }
        }
    }
    Ok(())
}

/// Reads one request to its end without looking at it; returns false at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
    let mut length = 0;
    let mut any = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() && any {
            break;
        }
        any = true;
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    Ok(true)
}
