//! A real Postfix from Debian's package as a child process: STARTTLS, TLS from the start and AUTH on loopback ports of its
//! own, with queue, users, certificates and mailboxes in a directory of the test's.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A wait for an event that takes longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Domain that it takes mail for.
pub(crate) const DOMAIN: &str = "soakd.test";
pub(crate) const USER: &str = "soak@soakd.test";
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// Owner of the mailboxes: Postfix delivers to nobody with more rights.
const NOBODY: u32 = 65_534;

const MASTER: &str = "
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
proxymap  unix  - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
";

/// A mail server; it is stopped when it is dropped.
pub(crate) struct Smtpd {
    dir: tempfile::TempDir,
    /// Port with STARTTLS and AUTH, both required.
    pub(crate) starttls: u16,
    /// Port with TLS from the start, and AUTH.
    pub(crate) tls: u16,
    /// Port without either.
    pub(crate) plain: u16,
    child: Option<Child>,
}

/// Returns why no mail server can be had here, if that is so.
fn lacking() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("Postfix needs root");
    }
    let programs = ["/usr/sbin/postfix", "/usr/sbin/saslpasswd2", "/usr/bin/openssl"];
    programs
        .iter()
        .any(|program| !Path::new(program).exists())
        .then_some("Postfix, sasl2-bin or openssl is missing (tests/setup.sh installs them)")
}

impl Smtpd {
    /// Prepares a server; `None`, loudly, where none can be had.
    pub(crate) fn prepare() -> Option<Self> {
        if let Some(why) = lacking() {
            eprintln!("\n*** SKIPPED: {why}; delivery by mail is NOT tested here ***\n");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("soakd-smtpd").tempdir().expect("a directory");
        let mut server = Self { dir, starttls: 0, tls: 0, plain: 0, child: None };
        let held: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports: Vec<u16> = held.iter().map(|l| l.local_addr().expect("an address").port()).collect();
        (server.starttls, server.tls, server.plain) = (ports[0], ports[1], ports[2]);
        drop(held);
        server.certificates();
        server.configure();
        Some(server)
    }

    /// Prepares and starts a server.
    pub(crate) fn start() -> Option<Self> {
        let mut server = Self::prepare()?;
        server.up();
        Some(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the certificate of the authority that signed the server's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Returns the certificate of an authority that signed nothing.
    pub(crate) fn stranger(&self) -> PathBuf {
        self.path("stranger.pem")
    }

    fn certificates(&self) {
        for name in ["ca", "stranger"] {
            self.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 3 -subj /CN={name}"
            ));
        }
        fs::write(self.path("extensions"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
            .expect("a file");
        self.openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
        self.openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3 -extfile extensions -out server.pem");
    }

    fn openssl(&self, args: &str) {
        let done = Command::new("/usr/bin/openssl").args(args.split(' ')).current_dir(self.dir.path()).output();
        let done = done.expect("openssl runs");
        assert!(done.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn configure(&self) {
        let dir = self.dir.path().display();
        for name in ["etc", "etc/sasl", "queue", "data", "box"] {
            fs::create_dir_all(self.path(name)).expect("a directory");
        }
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        chown(self.path("box"), Some(NOBODY), Some(NOBODY)).expect("an owner");
        self.own("data");
        fs::write(
            self.path("etc/main.cf"),
            format!(
                "compatibility_level = 3.6\nqueue_directory = {dir}/queue\ndata_directory = {dir}/data\n\
                 mail_owner = postfix\nmaillog_file = {dir}/log\nmaillog_file_prefixes = {dir}\n\
                 inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = localhost\nmydestination =\n\
                 alias_maps =\nalias_database =\nmynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = {DOMAIN}\n\
                 virtual_mailbox_base = {dir}/box\n\
                 virtual_mailbox_maps = inline:{{ {{ first@{DOMAIN} = first/ }} {{ second@{DOMAIN} = second/ }} }}\n\
                 virtual_minimum_uid = 100\nvirtual_destination_concurrency_limit = 1\nvirtual_uid_maps = static:{NOBODY}\nvirtual_gid_maps = static:{NOBODY}\n\
                 smtpd_tls_cert_file = {dir}/server.pem\nsmtpd_tls_key_file = {dir}/server.key\n\
                 smtpd_sasl_auth_enable = yes\nsmtpd_sasl_local_domain = {DOMAIN}\nsmtpd_tls_auth_only = yes\n\
                 smtpd_client_restrictions = permit_sasl_authenticated, reject\n\
                 smtpd_relay_restrictions = reject_unauth_destination\nmessage_size_limit = 3000000\n\
                 smtpd_peername_lookup = no\n"
            ),
        )
        .expect("a file");
        let (starttls, tls, plain) = (self.starttls, self.tls, self.plain);
        let master = format!(
            "127.0.0.1:{starttls} inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n\
             127.0.0.1:{tls} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n\
             127.0.0.1:{plain} inet n - n - - smtpd\n  -o smtpd_client_restrictions=permit_mynetworks,reject\n{MASTER}"
        );
        fs::write(self.path("etc/master.cf"), master).expect("a file");
        // Debian's Postfix looks for this below its own configuration directory.
        let sasl = format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {dir}/etc/sasl/db\nmech_list: PLAIN LOGIN\n"
        );
        fs::write(self.path("etc/sasl/smtpd.conf"), sasl).expect("a file");
        let (name, domain) = USER.split_once('@').expect("a domain");
        let mut command = Command::new("/usr/sbin/saslpasswd2");
        command.args(["-p", "-c", "-f"]).arg(self.path("etc/sasl/db")).args(["-u", domain, name]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("saslpasswd2 runs");
        child.stdin.take().expect("its input").write_all(PASSWORD.as_bytes()).expect("it reads");
        assert!(child.wait().expect("it ends").success());
        self.own("etc/sasl/db");
    }

    /// Gives a file to Postfix's user.
    fn own(&self, name: &str) {
        let done = Command::new("chown").arg("postfix").arg(self.path(name)).status().expect("chown runs");
        assert!(done.success(), "the user postfix is missing");
    }

    fn postfix(&self, what: &str) -> Command {
        let mut command = Command::new("/usr/sbin/postfix");
        command.arg("-c").arg(self.path("etc")).arg(what);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts it and waits until it greets.
    pub(crate) fn up(&mut self) {
        self.child = Some(self.postfix("start-fg").spawn().expect("Postfix starts"));
        let until = Instant::now() + PATIENCE;
        while !self.greets() {
            assert!(Instant::now() < until, "Postfix does not greet:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn greets(&self) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.plain)) else { return false };
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("220")
    }

    /// Stops it and waits until it is gone.
    pub(crate) fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = self.postfix("stop").status();
            let _ = child.wait();
        }
    }

    /// Returns what it wrote into its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until a mailbox holds a number of mails and returns them, in the order of their arrival.
    pub(crate) fn mails(&self, mailbox: &str, count: usize) -> Vec<Vec<u8>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mails = self.arrived(mailbox);
            if mails.len() >= count {
                return mails;
            }
            assert!(Instant::now() < until, "{} of {count} mails for {mailbox}:\n{}", mails.len(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the mails that a mailbox holds now.
    pub(crate) fn arrived(&self, mailbox: &str) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.path("box").join(mailbox).join("new")) else { return Vec::new() };
        let mut mails: Vec<(std::time::SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        mails.sort();
        mails.iter().map(|(_, path)| fs::read(path).expect("a mail")).collect()
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        self.down();
    }
}
