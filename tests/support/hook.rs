//! A receiver of webhooks and pings on the loopback interface that keeps what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers everything with 200.
pub(crate) struct Hook {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<Request>>>,
}

/// What came in one request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Request line and headers: the place for secrets.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Hook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    if let Some(request) = answer(&stream) {
                        kept.lock().expect("no panic").push(request);
                    }
                });
            }
        });
        Self { port, got }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.got.lock().expect("no panic").clone()
    }
}

fn answer(mut stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    Some(Request { head, body })
}
