//! Why a process cannot start on a database: what is wrong, in the words of the database or the system, and what to do.

use std::io::{self, ErrorKind};

use prompt_ledger_domain::Error;
use prompt_ledger_domain::error::Reason;
use sqlx::ConnectOptions as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::connection::CONNECT_TIMEOUT;
use super::error;

/// What a process was doing: it decides which rights are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartStep {
    Connect,
    /// Of a server, a worker or a command.
    Use,
    Migrate,
}

/// STORE_UNAVAILABLE where a later start may succeed without a change, else INTERNAL. The message has all, so there is
/// no cause beneath it.
pub(super) fn explained(error: &sqlx::Error, step: StartStep, options: &PgConnectOptions) -> Error {
    let message = match error {
        sqlx::Error::Database(refused) => of_database(&**refused, step, options),
        sqlx::Error::Io(failed) => of_io(failed, options),
        sqlx::Error::Tls(failed) => of_tls(&failed.to_string(), options),
        sqlx::Error::Configuration(wrong) => {
            format!("the URL cannot be used: {wrong}{}", files(options, &["sslrootcert", "sslcert", "sslkey"]))
        }
        sqlx::Error::Protocol(what) => {
            format!("what answers at {} is no Postgres: {what}; correct host and port in the URL", place(options))
        }
        other => format!("the database cannot be used: {other}"),
    };
    let lasts = error.as_database_error().and_then(|refused| refused.code().map(|code| code.into_owned()));
    let lasts = lasts.is_some_and(|code| ["28", "3D", "25", "08"].iter().any(|class| code.starts_with(class)));
    let reason = if error::passes(error) && !lasts { Reason::StoreUnavailable } else { Reason::Internal };
    Error::new(reason, message)
}

fn of_database(refused: &dyn DatabaseError, step: StartStep, options: &PgConnectOptions) -> String {
    let (said, user) = (refused.message(), options.get_username());
    let code = refused.code().unwrap_or_default();
    let (what, advice) = match &*code {
        code if code.starts_with("28") => (
            "the database refuses the login",
            "check the user and the password of the URL, and pg_hba.conf".to_owned(),
        ),
        "3D000" => (
            "the URL names a database that does not exist",
            "create it (CREATE DATABASE), or correct the name".to_owned(),
        ),
        "42501" | "3F000" => (
            "the role lacks a right",
            match step {
                StartStep::Connect => format!("GRANT CONNECT ON DATABASE ... TO {user}"),
                StartStep::Use => rights(user),
                StartStep::Migrate => format!(
                    "GRANT USAGE, CREATE ON SCHEMA public TO {user}, or migrate as the role that owns the ledger's tables"
                ),
            },
        ),
        "53300" => (
            "the database has no connection left",
            "end some, or raise the limit (max_connections, or CONNECTION LIMIT of the role or the database): each server \
             and each worker takes DATABASE_CONNECTIONS and 4 more"
                .to_owned(),
        ),
        "25006" => ("the database takes no writes", "name the primary in the URL".to_owned()),
        "57P03" => ("the database is not ready", "start again when it is".to_owned()),
        // No code of Postgres at this point: poolers send it with whatever they refuse.
        "08P01" => (
            "the pooler in front of the database refuses the connection",
            "check user, password and database of the URL, that there are no `options` in it, and the pooler's \
             configuration and log"
                .to_owned(),
        ),
        _ => ("the database refuses", format!("its log has more (SQLSTATE {code})")),
    };
    format!("{what}: {said}; {advice}")
}

/// The rights of a role that servers and workers log in with.
pub(super) fn rights(user: &str) -> String {
    format!(
        "GRANT USAGE ON SCHEMA public TO {user}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \
         {user}"
    )
}

fn of_io(failed: &io::Error, options: &PgConnectOptions) -> String {
    let place = place(options);
    match failed.kind() {
        ErrorKind::InvalidData => of_tls(&failed.to_string(), options),
        ErrorKind::TimedOut => format!(
            "{place} does not answer within {} s; check host and port of the URL, and the firewalls on the way",
            CONNECT_TIMEOUT.as_secs()
        ),
        ErrorKind::ConnectionRefused => {
            format!("nothing listens at {place}: {failed}; start Postgres, or correct host and port of the URL")
        }
        ErrorKind::NotFound if unreadable(options).is_some() => unreadable(options).unwrap_or_default(),
        ErrorKind::NotFound => {
            format!(
                "there is no socket at {place}: {failed}; start Postgres, or correct its folder and port in the URL"
            )
        }
        _ => format!("{place} cannot be reached: {failed}; check host and port of the URL"),
    }
}

fn of_tls(said: &str, options: &PgConnectOptions) -> String {
    let place = place(options);
    if said.contains("does not support TLS") {
        return format!("TLS: {place}: {said}; set ssl = on there, or take sslmode out of the URL");
    }
    if said.contains("invalid peer certificate") {
        let ca = match files(options, &["sslrootcert"]) {
            file if file.is_empty() => "; name the CA that signed it by sslrootcert=FILE in the URL".to_owned(),
            file => format!("; the CA that signed it must stand in the file of the URL{file}"),
        };
        let name = match options.get_ssl_mode() {
            PgSslMode::VerifyFull => ", and the URL's host must be a name of it (sslmode=verify-full)",
            _ => "",
        };
        return format!("TLS: the certificate that {place} shows is not trusted: {said}{ca}{name}");
    }
    let pair = files(options, &["sslcert", "sslkey"]);
    match pair.is_empty() {
        true => format!("TLS with {place} fails: {said}{}", files(options, &["sslrootcert"])),
        false => format!("TLS with {place} fails: {said}; certificate and key must be of one pair{pair}"),
    }
}

/// Host and port, or the path of the socket.
fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => folder.join(format!(".s.PGSQL.{}", options.get_port())).display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// ` (sslrootcert=FILE, ...)` for those of these parameters that the URL has.
fn files(options: &PgConnectOptions, names: &[&str]) -> String {
    let named: Vec<_> = paths(options).filter(|(name, _)| names.contains(&&**name)).collect();
    match named.is_empty() {
        true => String::new(),
        false => {
            let named: Vec<_> = named.iter().map(|(name, path)| format!("{name}={path}")).collect();
            format!(" ({})", named.join(", "))
        }
    }
}

/// The first file of the URL that cannot be read.
fn unreadable(options: &PgConnectOptions) -> Option<String> {
    paths(options).find_map(|(name, path)| {
        let error = std::fs::File::open(&path).err()?;
        Some(format!("{name}: cannot read {path}: {error}"))
    })
}

/// Names and values of the parameters that name files. One may be PEM itself: it is not shown.
fn paths(options: &PgConnectOptions) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = options.to_url_lossy().query_pairs().into_owned().collect();
    pairs.into_iter().filter_map(|(name, value)| {
        let is_file = ["sslrootcert", "sslcert", "sslkey"].contains(&&*name) && !value.contains("-----BEGIN");
        // The driver prints which of the two it is.
        is_file.then(|| (name, value.strip_prefix("file: ").unwrap_or(&value).to_owned()))
    })
}
