//! The parts that are observed beside the daemon: the target and the workers, with their processes and their files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::outside::{Outside, Reader};
use crate::engine::crew::Crew;
use crate::engine::service::Service;

/// How often it is looked which processes there are.
const PARTS_EVERY: Duration = Duration::from_secs(1);
/// How often the target is asked what it says of itself; asking costs it something.
const FIGURES_EVERY: Duration = Duration::from_secs(10);

/// One part of what is observed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// `daemon`, `target`, `worker-1` …
    pub name: String,
    /// Its process, as long as it has one on this machine.
    pub pid: Option<u32>,
    /// SQLite databases that are its own.
    pub databases: Vec<PathBuf>,
}

impl Part {
    /// Returns the daemon itself.
    pub fn daemon() -> Self {
        Self { name: "daemon".into(), pid: Some(std::process::id()), databases: Vec::new() }
    }
}

/// What there is to be seen besides the daemon, for whoever samples it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    pub parts: Vec<Part>,
    /// What the target said of itself when it was asked last, by metric.
    pub figures: Vec<(String, f64)>,
    /// How often it was asked: the same figures are not taken over twice.
    pub taken: u64,
}

/// Returns the target, and the workers that live.
pub async fn parts(service: &Service, crew: &Crew, outside: &Mutex<Outside>) -> Vec<Part> {
    let mut parts = Vec::new();
    if service.is_embedded() {
        let databases = service.file().into_iter().collect();
        parts.push(Part { name: "target".into(), pid: service.pid().await, databases });
    } else {
        parts.extend(outside.lock().await.part().await);
    }
    for (index, pid) in crew.pids().await {
        parts.push(Part { name: format!("worker-{}", index + 1), pid: Some(pid), databases: crew.files(index) });
    }
    parts
}

/// Says which parts the run has, whenever that changes, and what the target says of itself, until it is over.
pub async fn show(
    crew: Arc<Crew>,
    service: Arc<Service>,
    outside: Arc<Mutex<Outside>>,
    scene: watch::Sender<Scene>,
    closing: CancellationToken,
) {
    let show_parts = async {
        loop {
            let now = parts(&service, &crew, &outside).await;
            scene.send_if_modified(|scene| {
                let changed = scene.parts != now;
                if changed {
                    scene.parts.clone_from(&now);
                }
                changed
            });
            tokio::time::sleep(PARTS_EVERY).await;
        }
    };
    let show_figures = async {
        loop {
            let local = scene.borrow().parts.iter().any(|part| part.name == "target" && part.pid.is_some());
            let figures = outside.lock().await.figures(Reader::Series, local).await;
            // What cannot be read any more is not to be shown as if it could.
            if !figures.is_empty() || !scene.borrow().figures.is_empty() {
                scene.send_modify(|scene| {
                    scene.figures = figures.into_iter().map(|figure| (figure.metric, figure.value)).collect();
                    scene.taken += 1;
                });
            }
            tokio::time::sleep(FIGURES_EVERY).await;
        }
    };
    tokio::select! {
        () = closing.cancelled() => {}
        () = show_parts => {}
        () = show_figures => {}
    }
    scene.send_modify(|scene| {
        scene.parts.clear();
        scene.figures.clear();
    });
}
