//! Causes of failures in the logs: each is there, in the words of the service that it comes from, at most once a minute with
//! a count, and no secret is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::poll;
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database};
use tokio::task::JoinHandle;

use crate::kit::{Deployment, eventually, greet, request, submit};

/// Longer than the minute after which counts are logged.
const COUNTED_BY: Duration = Duration::from_secs(100);
const PASSWORD: &str = "hunter2";

/// Callers that submit, and do so again at once where they are refused, until [`Callers::stop`].
struct Callers {
    going: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<usize>>,
}

impl Callers {
    fn of(server: &Ledger) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let caller = |_| {
            let (mut client, going) = (server.executions(), Arc::clone(&going));
            tokio::spawn(async move {
                let mut refused = 0;
                while going.load(Ordering::Relaxed) {
                    refused += usize::from(client.submit_execution(request(greet())).await.is_err());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                refused
            })
        };
        Self { tasks: (0..8).map(caller).collect(), going }
    }

    /// How often they were refused.
    async fn stop(self) -> usize {
        self.going.store(false, Ordering::Relaxed);
        let mut refused = 0;
        for task in self.tasks {
            refused += task.await.unwrap();
        }
        refused
    }
}

/// Whether a line has the count of a minute.
fn is_count(line: &str) -> bool {
    line.contains("repeated within the last minute")
}

/// A server and a worker that log in by a role of their own, which the test may limit.
struct Limited {
    database: Database,
    role: String,
    server: Ledger,
    worker: Process,
    _deployment: Deployment,
}

impl Limited {
    async fn start() -> Self {
        let (database, role) = (services::database(), format!("limited_{:x}", services::unique()));
        // As a superuser: limits of connections do not hold for it.
        let admin = database.url().to_owned();
        let deployment = Deployment::on(&admin, Some(&services::redis_url()), None).await;
        services::sql(
            &admin,
            &format!(
                "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
            ),
        );
        let url = admin.replace("postgres://postgres@", &format!("postgres://{role}:{PASSWORD}@"));
        let deployment = deployment.without_database().with("DATABASE_URL", &url).with("SWEEP_INTERVAL", "300ms");
        let (well, said) = deployment.builder().said(&["migrate", "settings"]);
        assert!(well, "{said}");
        let (server, worker) = tokio::join!(deployment.server(), deployment.worker());
        server.active("greet", "hello").await;
        Self { database, role, server, worker, _deployment: deployment }
    }

    /// Changes the role, and ends its connections.
    fn alter(&self, how: &str) {
        services::sql(
            self.database.url(),
            &format!(
                "ALTER ROLE {role} {how};
                 SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'",
                role = self.role
            ),
        );
    }

    async fn works_again(&self) {
        eventually("submits to be taken again", || {
            let mut client = self.server.executions();
            async move { client.submit_execution(request(greet())).await.is_ok() }
        })
        .await;
    }

    /// The lines of either process that hold `what`, but for those with the count of a minute.
    fn lines_with(&self, what: &str) -> [usize; 2] {
        let count = |lines: Vec<String>| lines.iter().filter(|line| line.contains(what) && !is_count(line)).count();
        [count(self.server.output()), count(self.worker.output())]
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.alter("CONNECTION LIMIT 0");
        let role = &self.role;
        services::sql(self.database.url(), &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    }
}

#[tokio::test]
async fn logins_that_are_refused_or_too_many_are_in_the_log_in_the_databases_words() {
    let limited = Limited::start().await;
    let callers = Callers::of(&limited.server);
    for (how, back, cause) in [
        ("CONNECTION LIMIT 0", "CONNECTION LIMIT -1", "too many connections for role"),
        ("NOLOGIN", "LOGIN", "is not permitted to log in"),
    ] {
        limited.alter(how);
        eventually(cause, || async { limited.lines_with(cause).iter().all(|lines| *lines > 0) }).await;
        limited.alter(back);
        limited.works_again().await;
    }
    callers.stop().await;
    for cause in ["too many connections for role", "is not permitted to log in"] {
        let lines = limited.lines_with(cause);
        // The last words of health, and what a pool said before the cause was asked for.
        assert!(lines.iter().all(|lines| (1..=5).contains(lines)), "{cause}: {lines:?} {:#?}", limited.server.output());
    }
    let said = [limited.server.output(), limited.worker.output()].concat();
    assert!(!said.iter().any(|line| line.contains(PASSWORD)), "{said:#?}");
}

#[tokio::test]
async fn a_database_that_turns_read_only_is_told_and_counted_by_the_minute() {
    let database = services::database();
    let deployment = Deployment::on(database.url(), Some(&services::redis_url()), None).await.without_database();
    let (server, worker) = deployment.pair().await;
    let admin = format!("{}?options=-c%20default_transaction_read_only%3Doff", database.url());
    let name = database.url().rsplit_once('/').unwrap().1;
    let read_only = |on: &str| {
        services::sql(
            &admin,
            &format!(
                "ALTER DATABASE {name} SET default_transaction_read_only = {on};
                 SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE application_name = 'prompt-ledger' AND datname = '{name}'"
            ),
        )
    };
    let before = server.output().len();
    let callers = Callers::of(&server);
    read_only("on");
    let counted =
        |lines: Vec<String>| lines.iter().find(|line| is_count(line) && line.contains("takes no writes")).cloned();
    let count = async || counted(server.output()).ok_or("not yet");
    let line = poll::eventually("the count of a minute", COUNTED_BY, count).await;
    let lines = server.output().split_off(before);
    let refused = callers.stop().await;
    assert!(lines.len() < 40 && refused > 100, "{refused} refusals: {lines:#?}");
    assert!(lines.iter().any(|line| line.contains("takes no writes") && !line.contains("repeated")), "{lines:#?}");
    let times: u64 = line.split("\"times\":").nth(1).unwrap().split([',', '}']).next().unwrap().parse().unwrap();
    assert!(times > 10, "{line}");
    assert!(worker.output().len() < 40, "{:#?}", worker.output());
    read_only("off");
    eventually("submits to be taken again", || {
        let mut client = server.executions();
        async move { client.submit_execution(request(greet())).await.is_ok() }
    })
    .await;
}

#[tokio::test]
async fn waits_for_locks_are_in_the_log() {
    let database = services::database();
    let deployment = Deployment::on(database.url(), Some(&services::redis_url()), None).await.without_database();
    let (server, worker) = deployment.pair().await;
    let url = database.url().to_owned();
    let holder = std::thread::spawn(move || {
        // Ends with its connection.
        std::panic::catch_unwind(|| services::sql(&url, "BEGIN; LOCK TABLE executions; SELECT pg_sleep(600)")).ok();
    });
    let callers = Callers::of(&server);
    let told = |lines: Vec<String>| lines.iter().any(|line| line.contains("canceling statement due to lock timeout"));
    eventually("both to say so", || async { told(server.output()) && told(worker.output()) }).await;
    deployment.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()");
    holder.join().unwrap();
    callers.stop().await;
    submit(&server, greet()).await;
}

#[tokio::test]
async fn a_broker_that_refuses_is_told_once_with_what_to_check() {
    let shared = Deployment::new().await;
    let wrong = services::amqp_url().replace("guest:guest@", &format!("guest:{PASSWORD}@"));
    let deployment = shared.expects("ACCESS_REFUSED").with("AMQP_URL", &wrong);
    let (server, worker) = deployment.pair().await;
    let is_refusal = |line: &String| line.contains("ACCESS_REFUSED") && !is_count(line);
    let refused = |lines: Vec<String>| lines.into_iter().filter(is_refusal).collect::<Vec<_>>();
    eventually("both to say so", || async {
        !refused(server.output()).is_empty() && !refused(worker.output()).is_empty()
    })
    .await;
    for _ in 0..20 {
        submit(&server, greet()).await;
    }
    for lines in [server.output(), worker.output()] {
        assert!(!lines.iter().any(|line| line.contains(PASSWORD)), "{lines:#?}");
        let told = refused(lines);
        assert!(told.len() == 1 && told[0].contains("check user, password"), "{told:#?}");
    }
}
