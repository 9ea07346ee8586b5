//! A throw-away PostgreSQL cluster for tests; it ends and is deleted when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let bin =
            find().expect("PostgreSQL's initdb was not found: install the package postgresql (apt install postgresql)");
        let dir = tempfile::Builder::new().prefix("soakd-pg").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let mut cluster = Self { dir, bin, port: 0 };
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale"]);
        // At the last moment, so that hardly anybody else gets it meanwhile.
        cluster.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        cluster.launch();
        cluster
    }

    fn launch(&self) {
        let data = self.data();
        let options =
            format!("-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories= -c fsync=off", self.port);
        let log = format!("{data}.log");
        self.run("pg_ctl", &["-D", &data, "-w", "-t", "60", "-l", &log, "-o", &options, "start"]);
    }

    /// Ends the server at once, as a power failure would.
    pub(crate) fn kill(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// Starts it again after [`Self::kill`], on the same port.
    pub(crate) fn restart(&self) {
        self.launch();
    }

    /// Runs statements as the superuser.
    pub(crate) fn sql(&self, text: &str) {
        let port = self.port.to_string();
        self.run("psql", &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qc", text]);
    }

    /// Stops all processes of the server where they are, until what is returned is dropped.
    pub(crate) fn hold_still(&self) -> Still {
        let pid = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).unwrap();
        let postmaster: i32 = pid.lines().next().unwrap().parse().unwrap();
        let mut held = vec![postmaster];
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
            if parent == Some(postmaster) {
                held.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
            }
        }
        let still = Still(held.into_iter().filter_map(rustix::process::Pid::from_raw).collect());
        still.tell(rustix::process::Signal::STOP);
        still
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let path = self.bin.join(program);
        // PostgreSQL refuses to run as root.
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.args(args).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, program: &str, args: &[&str]) {
        let status = self.command(program, args).status().unwrap();
        let log = std::fs::read_to_string(format!("{}.log", self.data())).unwrap_or_default();
        assert!(status.success(), "{program} failed: {status}\n{log}");
    }
}

/// The processes of a server that is held still; they go on when it is dropped.
pub(crate) struct Still(Vec<rustix::process::Pid>);

impl Still {
    fn tell(&self, signal: rustix::process::Signal) {
        for pid in &self.0 {
            // One that ended meanwhile is none of ours any more.
            let _ = rustix::process::kill_process(*pid, signal);
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        self.tell(rustix::process::Signal::CONT);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).status();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|entry| entry.path().join("bin")));
    let complete = |dir: &Path| ["initdb", "pg_ctl", "psql"].iter().all(|name| dir.join(name).is_file());
    places.into_iter().find(|dir| complete(dir))
}
