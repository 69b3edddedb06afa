//! A private Postgres with fsync on.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::instance::{Instance, POLL_INTERVAL, TIMEOUT, as_user};
use super::sql;

/// A running Postgres. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Postgres(Instance);

impl Postgres {
    /// A new one, with an empty database.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn start() -> Self {
        let mut instance = Instance::new();
        let data = data_folder(&instance);
        let mut initdb = as_user("postgres", &binary("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
        succeed(initdb.arg("--pgdata").arg(&data).current_dir(&data));
        run(&mut instance).await;
        Self(instance)
    }

    /// A hot standby of this one: it replicates, answers reads and refuses writes.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn standby(&self) -> Self {
        let mut instance = Instance::new();
        let data = data_folder(&instance);
        let mut copy = as_user("postgres", &binary("pg_basebackup"));
        copy.args(["--checkpoint=fast", "--no-sync", "--pgdata"]).arg(&data).arg("--dbname").arg(self.conninfo());
        succeed(copy.current_dir(&data));
        follow(&data, self);
        run(&mut instance).await;
        Self(instance)
    }

    /// Starts it again, after [`Postgres::stop`], as a hot standby of another one.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn restart_as_standby_of(&mut self, primary: &Self) {
        follow(&self.0.path("data"), primary);
        run(&mut self.0).await;
    }

    /// Promotes a standby to primary, and waits until it accepts writes.
    ///
    /// # Panics
    /// When it is no standby.
    pub fn promote(&self) {
        let data = self.0.path("data");
        let mut promote = as_user("postgres", &binary("pg_ctl"));
        succeed(promote.args(["promote", "--wait", "--pgdata"]).arg(&data).current_dir(&data));
    }

    /// Connection string in libpq's format.
    fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres", self.0.port)
    }

    /// As its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.0.port)
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_folder(&self) -> PathBuf {
        self.0.path("data")
    }

    /// From now on every role but `postgres` needs its password.
    ///
    /// # Panics
    /// When it does not run.
    pub fn ask_for_passwords(&self) {
        let rules =
            "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(self.0.path("data").join("pg_hba.conf"), rules).unwrap();
        self.reload();
    }

    /// From now on it speaks TLS with this certificate and key, in PEM form, where it is asked to.
    ///
    /// # Panics
    /// When it does not run.
    pub fn speak_tls(&self, certificate: &str, key: &str) {
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.0.path("data").join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            own(&path);
        }
        sql(&self.url(), "ALTER SYSTEM SET ssl = on");
        self.reload();
    }

    /// Has it read its configuration again. Connections that are made from now on are served by that.
    fn reload(&self) {
        // A new connection inherits the time from the postmaster, which reads everything before it serves another one.
        let loaded = || sql(&self.url(), "SELECT pg_conf_load_time()");
        let (before, began) = (loaded(), Instant::now());
        sql(&self.url(), "SELECT pg_reload_conf()");
        while loaded() == before {
            assert!(began.elapsed() < TIMEOUT, "the configuration is not read again: {}", self.log());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The process id of the postmaster.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let file = std::fs::read_to_string(self.0.path("data").join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    #[must_use]
    pub fn log(&self) -> String {
        self.0.log()
    }

    /// Sends SIGKILL to all of its processes.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Begins a fast shutdown: clients are disconnected, and new ones refused. [`Postgres::stop`] waits for its end.
    ///
    /// # Panics
    /// When it goes on accepting clients.
    pub async fn begin_stop(&self) {
        self.0.signal("INT");
        let began = Instant::now();
        while accepts(self.0.port).await {
            assert!(began.elapsed() < TIMEOUT, "it does not stop: {}", self.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Fast shutdown: clients are disconnected.
    pub fn stop(&mut self) {
        self.0.end("INT");
    }

    /// Starts it again, on the same port, with its data.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn restart(&mut self) {
        run(&mut self.0).await;
    }

    /// Stops all of its processes: connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Lets all of its processes go on.
    pub fn resume(&self) {
        self.0.resume();
    }
}

/// An empty data folder, accessible to Postgres' user only.
fn data_folder(instance: &Instance) -> PathBuf {
    let data = instance.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    own(&data);
    data
}

/// Gives a file or a folder to Postgres' user where we are root.
fn own(path: &Path) {
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        succeed(Command::new("chown").arg("postgres").arg(path));
    }
}

/// Makes the server that starts with this data a standby.
fn follow(data: &Path, primary: &Postgres) {
    succeed(as_user("postgres", Path::new("touch")).arg(data.join("standby.signal")).current_dir(data));
    let mut settings = std::fs::File::options().append(true).open(data.join("postgresql.auto.conf")).unwrap();
    writeln!(settings, "primary_conninfo = '{}'", primary.conninfo()).unwrap();
}

async fn run(instance: &mut Instance) {
    let data = instance.path("data");
    let mut command = as_user("postgres", &binary("postgres"));
    command.arg("-D").arg(&data).args(["-p", &instance.port.to_string()]);
    command.arg("-c").arg(format!("unix_socket_directories={}", data.display()));
    for setting in [
        "listen_addresses=127.0.0.1",
        "max_connections=400",
        "shared_buffers=256MB",
        "max_wal_size=4GB",
        "log_lock_waits=on",
        "deadlock_timeout=200ms",
    ] {
        command.args(["-c", setting]);
    }
    instance.start(&mut command, accepts).await;
}

/// Whether a server accepts clients on this port.
async fn accepts(port: u16) -> bool {
    let mut ask = tokio::process::Command::new(binary("pg_isready"));
    ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status().await.is_ok_and(|status| status.success())
}

/// The program, of the newest installed release, or from `PATH`.
fn binary(name: &str) -> PathBuf {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = releases.map(|release| release.path().join("bin").join(name)).filter(|path| path.is_file());
    found.max().unwrap_or_else(|| Path::new(name).to_owned())
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
