//! Real registries as processes on free ports, gone when dropped.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running registry.
pub struct Registry {
    pub address: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Registry {
    /// The distribution registry: no Referrers API.
    pub fn distribution() -> Self {
        Self::distribution_with("")
    }

    /// The distribution registry with a further section of configuration.
    pub fn distribution_with(section: &str) -> Self {
        Self::configured(section, "")
    }

    /// The distribution registry over TLS, with files of certificate and key.
    pub fn with_tls(certificate: &Path, key: &Path) -> Self {
        let tls = format!(", tls: {{certificate: {}, key: {}}}", certificate.display(), key.display());
        Self::configured("", &tls)
    }

    fn configured(section: &str, tls: &str) -> Self {
        Self::start("registry", |port, folder| {
            let root = folder.join("storage").display().to_string();
            let config = format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: '127.0.0.1:{port}'{tls}}}\n{section}\n"
            );
            let path = folder.join("config.yml");
            std::fs::write(&path, config).unwrap();
            vec!["serve".to_owned(), path.display().to_string()]
        })
    }

    /// The distribution registry with one user, asked for by basic authentication.
    pub fn with_user(name: &str, password: &str) -> Self {
        let users = tempfile::NamedTempFile::new().unwrap();
        let hash = bcrypt::hash(password, 4).unwrap();
        std::fs::write(users.path(), format!("{name}:{hash}\n")).unwrap();
        let path = users.path().display();
        let registry = Self::distribution_with(&format!("auth: {{htpasswd: {{realm: test, path: {path}}}}}"));
        // Read at the first request only.
        users.keep().unwrap();
        registry
    }

    /// A registry with the Referrers API.
    pub fn with_referrers() -> Self {
        Self::start("referrers-registry", |port, _| vec!["-addr".to_owned(), format!("127.0.0.1:{port}")])
    }

    /// One of each kind, for what must work on both.
    pub fn both() -> [Self; 2] {
        [Self::distribution(), Self::with_referrers()]
    }

    fn start(tool: &str, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        let program = banhbaoring_testing::tools::find(tool).unwrap();
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            let log = std::fs::File::create(folder.path().join("log")).unwrap();
            let process = Command::new(&program)
                .args(arguments(port, folder.path()))
                .env("OTEL_TRACES_EXPORTER", "none")
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut registry = Self { address: format!("127.0.0.1:{port}"), process, _folder: folder };
            if registry.is_up() {
                return registry;
            }
        }
        panic!("{tool} does not start on any port");
    }

    /// Whether it answers before its deadline; not if it ended, for example because somebody else took its port.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(&self.address).is_ok() {
                return self.process.try_wait().unwrap().is_none();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing listens on {} within 30 s: {}", self.address, self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default()
    }

    /// Takes it off the network.
    pub fn stop(&mut self) {
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}
