//! What takes the place of the hosts, ports and credentials that the page names.

use std::path::Path;

use prompt_ledger_testkit::services::Database;

use crate::kit::{Deployment, free_address};

/// Printed texts and the real ones, in the order in which they are replaced.
#[derive(Clone)]
pub(super) struct Places {
    pairs: Vec<(String, String)>,
    server: [(String, String); 2],
    worker: [(String, String); 2],
    certificate: String,
    key: String,
}

impl Places {
    pub(super) fn of(deployment: &Deployment, other_database: &Database) -> Self {
        let (grpc, other) = (free_address(), free_address());
        let port = |address: &str| address.rsplit_once(':').expect("a port").1.to_owned();
        let metrics = [free_address(), free_address()];
        let health = [free_address(), free_address()];
        let listened = |metrics: &str, health: &str| {
            [("0.0.0.0:9464", metrics), ("0.0.0.0:50052", health)].map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        let database = deployment.value("DATABASE_URL");
        let (_, name) = database.rsplit_once('/').expect("a database");
        let pairs = [
            ("postgres://ledger:secret@db.example.com:5432/ledger_restored", format!("{database}_restored")),
            ("ledger_restored", format!("{name}_restored")),
            ("postgres://ledger:secret@db.example.com:5432/ledger", database.to_owned()),
            ("postgres://ledger:secret@db.other.example.com:5432/ledger", other_database.url().to_owned()),
            ("redis://redis.example.com", deployment.value("REDIS_URL").to_owned()),
            ("amqp://ledger:secret@rabbit.example.com/%2f", deployment.value("AMQP_URL").to_owned()),
            ("0.0.0.0:50051", format!("0.0.0.0:{}", port(&grpc))),
            ("0.0.0.0:50061", format!("0.0.0.0:{}", port(&other))),
            ("ledger.example.com:50051", format!("localhost:{}", port(&grpc))),
            ("other.example.com:50061", format!("localhost:{}", port(&other))),
            ("server-1.example.com:9464", metrics[0].clone()),
            ("worker-1.example.com:9464", metrics[1].clone()),
            ("server-1.example.com:50052", health[0].clone()),
            ("worker-1.example.com:50052", health[1].clone()),
        ];
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        Self {
            pairs: pairs.map(|(printed, real)| (printed.to_owned(), real)).into(),
            server: listened(&metrics[0], &health[0]),
            worker: listened(&metrics[1], &health[1]),
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// For what a server or a worker listens on: on this machine their ports differ.
    pub(super) fn of_process(&self, is_server: bool) -> Self {
        let mut this = self.clone();
        this.pairs.extend(if is_server { self.server.clone() } else { self.worker.clone() });
        this
    }

    /// The files that the page says are there.
    pub(super) fn write_files(&self, folder: &Path) {
        for (name, content) in [
            ("cert.pem", &*self.certificate),
            ("ca.pem", &self.certificate),
            ("key.pem", &self.key),
            ("openai.key", "a-key-of-the-provider\n"),
        ] {
            std::fs::write(folder.join(name), content).expect("a file is written");
        }
    }

    /// A text of the page with the real places.
    ///
    /// # Panics
    /// Where it names one that has no real one.
    pub(super) fn put(&self, text: &str) -> String {
        let put = self.pairs.iter().fold(text.to_owned(), |text, (printed, real)| text.replace(printed, real));
        assert!(!put.contains("example.com"), "a place that the test does not know: {put}");
        put
    }
}
