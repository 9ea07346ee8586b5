//! Listening and serving.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::serve::Listener;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::access::{self, Guard};
use super::limit::{CONNECTIONS_MAX, Limited};
use super::routes::router;
use super::socket::{self, PATH_BYTES_MAX, SocketFile};
use super::{ApiState, socket_path};
use crate::config::ApiConfig;

/// How long answers may take that are under way when the daemon stops.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Why the API cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("the path of the socket {} has {bytes} bytes, and the system permits at most {PATH_BYTES_MAX}; give a shorter one as api.socket", .path.display())]
    TooLong { path: PathBuf, bytes: usize },
    #[error("the socket cannot be made in {}: {why}; make the directory, or give another api.socket", .dir.display())]
    Parent { dir: PathBuf, why: String },
    #[error("{} is not a socket; move it away, or give another api.socket", .path.display())]
    NotASocket { path: PathBuf },
    #[error("another soakd answers on the socket {}; stop it, or give another api.socket", .path.display())]
    InUse { path: PathBuf },
    #[error("cannot listen on the socket {}: {source}; give another api.socket", .path.display())]
    Socket { path: PathBuf, source: std::io::Error },
    #[error("cannot listen on {address}: {source}; give another api.listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("api.listen is {address}, which others in the network can reach: set api.token, or listen on 127.0.0.1")]
    NoToken { address: SocketAddr },
}

/// A local API that listens but does not answer yet.
#[derive(Debug)]
pub struct Server {
    socket: UnixListener,
    file: SocketFile,
    tcp: Option<(TcpListener, SocketAddr, Guard)>,
}

impl Server {
    /// Listens on the socket and, if the configuration says so, on TCP.
    pub fn bind(config: &ApiConfig, state_dir: &Path, token: Option<&SecretString>) -> Result<Self, BindError> {
        let tcp = config.listen.map(|address| listen(address, token)).transpose()?;
        let (socket, file) = socket::listen(&socket_path(config, state_dir), state_dir)?;
        Ok(Self { socket, file, tcp })
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        self.file.path()
    }

    /// Returns the TCP address, with the port that was given if none was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address, _)| *address)
    }

    /// Answers until it is told to stop.
    pub async fn serve(self, state: ApiState, stop: CancellationToken) -> std::io::Result<()> {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let router = router(state, stop.clone());
        let socket = Limited::new(tokio::net::UnixListener::from_std(self.socket)?, Arc::clone(&permits));
        let by_tcp = match self.tcp {
            Some((listener, _, guard)) => {
                let guarded = router.clone().layer(from_fn_with_state(Arc::new(guard), access::check));
                Some((Limited::new(tokio::net::TcpListener::from_std(listener)?, permits), guarded))
            }
            None => None,
        };
        let tcp = async {
            if let Some((listener, router)) = by_tcp {
                answer(listener, router, &stop).await;
            }
        };
        tokio::join!(answer(socket, router, &stop), tcp);
        drop(self.file);
        Ok(())
    }
}

async fn answer<L>(listener: L, router: Router, stop: &CancellationToken)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        // Serving ends by shutdown only.
        _ = serving.into_future() => {}
        () = drained => {}
    }
}

fn listen(address: SocketAddr, token: Option<&SecretString>) -> Result<(TcpListener, SocketAddr, Guard), BindError> {
    if !address.ip().is_loopback() && token.is_none() {
        return Err(BindError::NoToken { address });
    }
    let failed = |source| BindError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local, Guard::new(address.ip(), token)))
}
