//! A proxy before a mail server that swallows one confirmation: the server has the mail, and the sender never learns of it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// The first connection loses the reply to its message; all later ones are passed on as they are.
pub(crate) struct DeafProxy {
    pub(crate) port: u16,
}

impl DeafProxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for (n, client) in listener.incoming().flatten().enumerate() {
                let upstream = TcpStream::connect(("127.0.0.1", server)).expect("the server is there");
                std::thread::spawn(move || pass(client, upstream, n == 0));
            }
        });
        Self { port }
    }
}

fn pass(client: TcpStream, server: TcpStream, deaf: bool) {
    for stream in [&client, &server] {
        // Bounds every thread, whatever the other side does.
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    }
    let (ended, message_ended) = channel();
    let (from_client, to_server) = (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
    std::thread::spawn(move || forward(from_client, to_server, &ended));
    let mut client = client;
    for line in BufReader::new(server.try_clone().expect("a copy")).split(b'\n').map_while(Result::ok) {
        if deaf && message_ended.try_recv().is_ok() {
            break;
        }
        if client.write_all(&line).and_then(|()| client.write_all(b"\n")).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Passes the client's lines on and tells when a message has ended.
fn forward(client: TcpStream, mut server: TcpStream, ended: &Sender<()>) {
    for line in BufReader::new(client).split(b'\n').map_while(Result::ok) {
        if line == b".\r" {
            // Before it is passed on: the reply cannot be there earlier than this.
            let _ = ended.send(());
        }
        if server.write_all(&line).and_then(|()| server.write_all(b"\n")).is_err() {
            return;
        }
    }
}
