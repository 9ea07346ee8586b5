//! A served API in this process, asked over its real sockets.

mod described;
mod served;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::ApiConfig;
use crate::model::measure::CycleMeasures;
use crate::model::record::Snapshot;
use crate::observe::report::sample;
use crate::observe::status::StatusBook;
use crate::store::Store;

/// How the daemon of a test answers commands.
const DOES: u8 = 0;
const REFUSES: u8 = 1;
const ENDS: u8 = 2;

/// A daemon without an engine.
struct Daemon {
    dir: tempfile::TempDir,
    socket: PathBuf,
    address: Option<SocketAddr>,
    state: ApiState,
    mood: Arc<AtomicU8>,
    told: Arc<std::sync::Mutex<Vec<Control>>>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// An answer.
struct Got {
    status: u16,
    content_type: String,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

fn filled(dir: &std::path::Path) -> (Store, Snapshot) {
    let mut store = Store::open(dir).unwrap();
    let mut snapshot = sample::failing();
    snapshot.run.ended_ms = None;
    snapshot.run.verdict = None;
    store.begin_run(&snapshot.run).unwrap();
    for cycle in &snapshot.cycles {
        store.finish_cycle(&snapshot.run, cycle, &Default::default()).unwrap();
    }
    for cycle in 1..=3 {
        let mut measures = CycleMeasures { cycle, at_ms: cycle as i64 * 1000, ..CycleMeasures::default() };
        measures.note("rss.daemon", 1e6, 1);
        measures.note("odd & \u{e4}?/", cycle as f64, 1);
        measures.note("rss.target", 2e6, 2);
        store.record_measures(&snapshot.run.run, &measures).unwrap();
        store.record_series(cycle as i64 * 1000, &[("rss.daemon", 1e6)]).unwrap();
    }
    (store, snapshot)
}

impl Daemon {
    fn start(token: Option<&str>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let (store, snapshot) = filled(dir.path());
        let mut book = StatusBook::new("soakd.toml", 0);
        book.recall(Some(&snapshot), [1]);
        let config = ApiConfig {
            socket: Some(dir.path().join("api.sock")),
            listen: Some(([127, 0, 0, 1], 0).into()),
            token: None,
        };
        let server = Server::bind(&config, dir.path(), token.map(SecretString::from).as_ref()).unwrap();
        let (socket, address) = (server.socket().to_owned(), server.address());
        let (control, mut commands) = mpsc::channel::<Command>(4);
        let (mood, told) = (Arc::new(AtomicU8::new(DOES)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let (mood_now, noted) = (Arc::clone(&mood), Arc::clone(&told));
        tokio::spawn(async move {
            while let Some((control, answer)) = commands.recv().await {
                noted.lock().unwrap().push(control);
                match mood_now.load(Ordering::Relaxed) {
                    DOES => drop(answer.send(Ok("done".to_owned()))),
                    REFUSES => drop(answer.send(Err("it is not paused".to_owned()))),
                    _ => drop(answer),
                }
            }
        });
        let state = ApiState {
            store: Shared::new(store),
            clock: Clock::default(),
            status: watch::channel(book.status().clone()).1,
            events: broadcast::channel(64).0,
            control,
            metrics: Arc::new(Metrics::new()),
        };
        let stop = CancellationToken::new();
        let served = tokio::spawn(server.serve(state.clone(), stop.clone()));
        Self { dir, socket, address, state, mood, told, stop, served }
    }

    fn by_socket(&self) -> reqwest::Client {
        reqwest::Client::builder().unix_socket(self.socket.as_path()).pool_max_idle_per_host(0).build().unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Got {
        let method = method.to_uppercase().parse().unwrap();
        let request = self.by_socket().request(method, format!("http://localhost{path}")).body(body.to_owned());
        got(request.send().await.unwrap()).await
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
        assert!(!self.socket.exists(), "the socket is removed");
    }
}

async fn got(response: reqwest::Response) -> Got {
    let content_type = response.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    Got { status: response.status().as_u16(), content_type, body: response.text().await.unwrap() }
}
