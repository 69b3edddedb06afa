//! What the commands say of a database that they cannot use: its own words, and what to do. And where a database may be.

use std::path::Path;

use prompt_ledger_testkit::ledger::server;
use prompt_ledger_testkit::services::{self, Postgres};
use tempfile::TempDir;

use crate::kit::Deployment;

const PASSWORD: &str = "hunter2";

/// What `migrate`, `keys`, `serve` and the worker say with this URL; each must fail.
fn refusals(url: &str) -> [(&'static str, String); 4] {
    let built = Path::new(env!("CARGO_BIN_EXE_prompt-ledger"));
    let worker = built.with_file_name("prompt-ledger-worker");
    let said = |program: &Path, args: &[&str]| {
        let ask = || server(program).env("DATABASE_URL", url).said(args);
        // A connection may take two seconds, which a machine that pauses may exceed: once more.
        let in_time = Some(ask()).filter(|(_, said)| !said.contains("does not answer within"));
        let (well, said) = in_time.unwrap_or_else(ask);
        assert!(!well && !said.contains(PASSWORD) && said.contains("DATABASE_URL"), "{args:?}: {said}");
        said
    };
    [
        ("migrate", said(built, &["migrate"])),
        ("keys", said(built, &["keys", "list"])),
        ("serve", said(built, &["serve"])),
        ("worker", said(&worker, &[])),
    ]
}

/// All of them say all of these.
fn all_say(url: &str, words: &[&str]) {
    for (command, said) in refusals(url) {
        for word in words {
            assert!(said.contains(word), "{command} does not say `{word}`: {said}");
        }
    }
}

/// A role `ledger` with a password, and a database with a schema in which it may do anything.
struct Place {
    postgres: Postgres,
    database: services::Database,
    /// As `ledger`.
    url: String,
}

impl Place {
    async fn new() -> Self {
        let postgres = Postgres::start().await;
        let admin = postgres.url();
        services::sql(&admin, &format!("CREATE ROLE ledger LOGIN PASSWORD '{PASSWORD}'"));
        postgres.ask_for_passwords();
        let database = services::database_on(&admin);
        services::sql(database.url(), "GRANT USAGE, CREATE ON SCHEMA public TO ledger");
        let url = database.url().replace("postgres@", &format!("ledger:{PASSWORD}@"));
        let place = Self { postgres, database, url };
        let (well, said) = place.migrate(&place.url);
        assert!(well, "{said}");
        place
    }

    fn migrate(&self, url: &str) -> (bool, String) {
        server(env!("CARGO_BIN_EXE_prompt-ledger")).env("DATABASE_URL", url).said(&["migrate"])
    }

    /// As the superuser, in the ledger's database.
    fn sql(&self, statement: &str) {
        services::sql(self.database.url(), statement);
    }
}

#[tokio::test]
async fn every_command_says_what_is_wrong_with_the_database_and_what_to_do() {
    let place = Place::new().await;
    let url = &*place.url;
    let wrong = url.replace(PASSWORD, "wrong");
    all_say(&wrong, &["password authentication failed for user \"ledger\"", "check the user and the password"]);
    let (base, name) = url.rsplit_once('/').unwrap();
    all_say(&format!("{base}/nowhere"), &["database \"nowhere\" does not exist", "create it"]);
    let nobody = services::free_port();
    let absent = format!("postgres://ledger:{PASSWORD}@127.0.0.1:{nobody}/{name}");
    all_say(&absent, &["nothing listens at 127.0.0.1:", "Connection refused", "start Postgres"]);
    let unknown = format!("postgres://ledger:{PASSWORD}@no-such-host.invalid/{name}");
    // Or that there was no answer in time, where a resolver waits for its own servers.
    all_say(&unknown, &["no-such-host.invalid:5432", "check host and port"]);

    place.sql("ALTER ROLE ledger CONNECTION LIMIT 0");
    all_say(url, &["too many connections for role \"ledger\"", "raise the limit"]);
    place.sql("ALTER ROLE ledger CONNECTION LIMIT -1");

    place.sql("ALTER ROLE ledger SET default_transaction_read_only = on");
    all_say(url, &["takes no writes", "name the primary in the URL"]);
    place.sql("ALTER ROLE ledger RESET default_transaction_read_only");

    place.sql(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"));
    all_say(url, &["permission denied for database", "GRANT CONNECT ON DATABASE"]);
    place.sql(&format!("GRANT CONNECT ON DATABASE {name} TO PUBLIC"));
    let (well, said) = place.migrate(url);
    assert!(well, "{said}");
}

#[tokio::test]
async fn every_command_says_which_right_on_the_schema_is_missing() {
    let place = Place::new().await;
    let name = place.url.rsplit_once('/').unwrap().1.to_owned();
    place.sql(&format!("CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'"));
    let reader = place.url.replace("ledger:", "reader:");
    let settings = server(env!("CARGO_BIN_EXE_prompt-ledger")).env("DATABASE_URL", &*reader);
    let (well, said) = settings.said(&["migrate", "settings"]);
    assert!(well && said.contains(&format!("ALTER ROLE reader IN DATABASE {name} SET")), "{said}");
    let expect = |migrate: &str, others: &str| {
        for (command, said) in refusals(&reader) {
            let (word, advice) = match command {
                "migrate" => (migrate, "GRANT USAGE, CREATE ON SCHEMA public TO reader"),
                _ => (others, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader"),
            };
            assert!(said.contains(word) && said.contains(advice), "{command} does not say `{word}`: {said}");
        }
    };
    place.sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC");
    expect("no schema has been selected to create in", "the schema `public`, which it may not use");
    place.sql("GRANT USAGE ON SCHEMA public TO reader");
    expect("permission denied for schema public", "permission denied for table schema_compatibility");
    place.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    expect("permission denied for schema public", "it may not read and write the table `executions`");

    // A role that acts as another one may not change its own settings.
    place.sql("GRANT reader TO ledger; ALTER ROLE ledger SET role = reader");
    place.sql(&format!("ALTER ROLE ledger IN DATABASE {name} RESET ALL"));
    let settings = server(env!("CARGO_BIN_EXE_prompt-ledger")).env("DATABASE_URL", &*place.url);
    let (well, said) = settings.said(&["migrate", "settings"]);
    let statement = format!("run as a superuser:\nALTER ROLE ledger IN DATABASE {name} SET statement_timeout = '2s';");
    assert!(!well && said.contains("permission denied") && said.contains(&statement), "{said}");
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_named_by_their_files() {
    let place = Place::new().await;
    let url = &*place.url;
    all_say(&format!("{url}?sslmode=require"), &["does not support TLS", "set ssl = on"]);
    let folder = TempDir::new().unwrap();
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (served, other) = (made(), made());
    place.postgres.speak_tls(&served.cert.pem(), &served.signing_key.serialize_pem());
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (own, stranger) = (file("own.pem", &served.cert.pem()), file("stranger.pem", &other.cert.pem()));
    let key = file("key.pem", &served.signing_key.serialize_pem());

    let wrong = format!("{url}?sslmode=verify-ca&sslrootcert={stranger}");
    all_say(&wrong, &["TLS: the certificate", "is not trusted", &format!("sslrootcert={stranger}")]);
    all_say(&format!("{url}?sslmode=verify-ca"), &["is not trusted", "sslrootcert=FILE"]);
    let named = format!("{url}?sslmode=verify-full&sslrootcert={own}");
    all_say(&named, &["not valid for name", "sslmode=verify-full", &format!("sslrootcert={own}")]);
    let gone = format!("{url}?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem");
    all_say(&gone, &["sslrootcert: cannot read /nowhere/ca.pem"]);
    let pair = format!("{url}?sslmode=require&sslcert={stranger}&sslkey={key}");
    all_say(&pair, &["of one pair", &format!("sslcert={stranger}"), &format!("sslkey={key}")]);

    let right = format!("{}?sslmode=verify-full&sslrootcert={own}", url.replace("127.0.0.1", "localhost"));
    let (well, said) = place.migrate(&right);
    assert!(well, "{said}");
}

#[tokio::test]
async fn a_socket_is_a_place_and_several_hosts_are_not() {
    let database = services::database();
    let (server_url, name) = database.url().rsplit_once('/').unwrap();
    let port = server_url.rsplit_once(':').unwrap().1;
    let folder = services::sql(database.url(), "SHOW unix_socket_directories");
    let folder = folder.trim();
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres://postgres@/{name}?host={folder}&port={port}&target_session_attrs=read-write"),
        format!("postgres:///{name}?host={encoded}&port={port}&user=postgres"),
        format!("postgres://postgres@{encoded}:{port}/{name}"),
    ] {
        let deployment = Deployment::on(&url, None, None).await;
        let (well, said) = deployment.builder().said(&["migrate", "status"]);
        assert!(well && said.contains(&format!("postgres://{folder}\n")), "{said}");
        let server = deployment.server().await;
        server.active("greet", "hello").await;
    }
    let absent = format!("postgres://postgres@/{name}?host={folder}&port=1");
    all_say(&absent, &["there is no socket at", ".s.PGSQL.1"]);
    for (url, words) in [
        (format!("postgres://postgres:{PASSWORD}@one:5432,two:5432/{name}"), "names several hosts; name one"),
        (format!("postgres://postgres:{PASSWORD}@/{name}?host=one,two"), "names several hosts; name one"),
        (format!("{}?target_session_attrs=any", database.url()), "leave it out"),
    ] {
        all_say(&url, &[words]);
    }
}
