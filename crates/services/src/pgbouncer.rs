//! A private PgBouncer in front of a Postgres.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::instance::{Instance, as_user};

/// How PgBouncer lends its connections to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// To a client for as long as it is connected. As Debian configures it.
    Session,
    /// To each transaction, without prepared statements.
    Transaction,
    /// As `Transaction`, each connection in its turn.
    TransactionInTurns,
    /// To each statement.
    Statement,
    /// To each transaction, with `max_prepared_statements`, where this PgBouncer has it.
    TransactionWithStatements,
}

/// A running PgBouncer. Dropping it ends it.
#[derive(Debug)]
pub struct PgBouncer(Instance);

impl PgBouncer {
    /// One in front of the Postgres that a URL names, for all of its databases and roles without passwords.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn to(postgres: &str, mode: PoolMode) -> Self {
        let mut instance = Instance::new();
        let port = postgres.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        let mut config = format!(
            "[databases]\n* = host=127.0.0.1 port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = users\ndefault_pool_size = 60\nmax_client_conn = 300\n",
            instance.port
        );
        let (mode, statements) = match mode {
            PoolMode::Session => ("session", None),
            PoolMode::Transaction => ("transaction", Some(0)),
            PoolMode::TransactionInTurns => ("transaction\nserver_round_robin = 1", Some(0)),
            PoolMode::Statement => ("statement", Some(0)),
            PoolMode::TransactionWithStatements => ("transaction", Some(256)),
        };
        writeln!(config, "pool_mode = {mode}").unwrap();
        // Later releases keep some unless they are told otherwise, and earlier ones do not know the setting.
        if let Some(count) = statements.filter(|_| Self::keeps_statements()) {
            writeln!(config, "max_prepared_statements = {count}").unwrap();
        }
        std::fs::write(instance.path("pgbouncer.ini"), config).unwrap();
        std::fs::write(instance.path("users"), "\"postgres\" \"\"\n\"ledger\" \"\"\n").unwrap();
        let mut command = as_user("postgres", &program());
        let accepts = async |port: u16| tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        instance.start(command.arg("pgbouncer.ini"), accepts).await;
        Self(instance)
    }

    /// The same URL with its port.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        url.replace(port, &self.0.port.to_string())
    }

    /// Whether this PgBouncer keeps prepared statements in transaction mode: 1.21 and later.
    ///
    /// # Panics
    /// When it tells no version.
    #[must_use]
    pub fn keeps_statements() -> bool {
        let output = Command::new(program()).arg("--version").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.lines().next().and_then(|line| line.strip_prefix("PgBouncer ")).unwrap_or_default();
        let mut numbers = version.split('.').map(|number| number.parse::<u32>());
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            panic!("no version of PgBouncer: {said}")
        };
        (major, minor) >= (1, 21)
    }
}

/// `PGBOUNCER` where set, to try another release; else that of the system.
fn program() -> PathBuf {
    let told = std::env::var_os("PGBOUNCER").map(PathBuf::from);
    let system = || Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|path| path.is_file());
    told.or_else(system).unwrap_or_else(|| Path::new("pgbouncer").to_owned())
}
