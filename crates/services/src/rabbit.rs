//! A private RabbitMQ, with a unique node name.

use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::instance::{Instance, free_port};
use super::unique;

/// The protocol header that opens an AMQP connection.
const PREFACE: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A running RabbitMQ. Dropping it ends it.
#[derive(Debug)]
pub struct Rabbit {
    instance: Instance,
    node: String,
    distribution: u16,
}

impl Rabbit {
    /// Starting takes several seconds.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn start() -> Self {
        let distribution = free_port();
        let node = format!("ledger{:08x}@localhost", unique() & 0xffff_ffff);
        let mut rabbit = Self { instance: Instance::new(), node, distribution };
        std::fs::write(rabbit.instance.path("plugins"), "[].").unwrap();
        rabbit.restart().await;
        rabbit
    }

    /// As the user `guest`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.instance.port)
    }

    /// Sends SIGKILL to all of its processes.
    pub fn kill(&mut self) {
        self.instance.kill();
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn restart(&mut self) {
        let folder = self.instance.folder.path().to_owned();
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        command
            .env("HOME", &folder)
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.instance.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        self.instance.start(&mut command, greets).await;
    }

    /// Stops all of its processes: connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.instance.pause();
    }

    /// Lets all of its processes go on.
    pub fn resume(&self) {
        self.instance.resume();
    }
}

/// Whether a broker answers the protocol header.
async fn greets(port: u16) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(PREFACE).await?;
        let mut frame = [0; 1];
        stream.read_exact(&mut frame).await?;
        Ok::<_, std::io::Error>(frame == [1])
    };
    matches!(tokio::time::timeout(std::time::Duration::from_secs(2), greeting).await, Ok(Ok(true)))
}
