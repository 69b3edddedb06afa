//! A private Redis without persistence.

use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::instance::Instance;

/// A running Redis. Dropping it ends it.
#[derive(Debug)]
pub struct Redis(Instance);

impl Redis {
    /// A new, empty one.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn start() -> Self {
        let mut instance = Instance::new();
        run(&mut instance).await;
        Self(instance)
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0.port)
    }

    /// Sends SIGKILL; its data is lost.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again, on the same port, empty.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn restart(&mut self) {
        run(&mut self.0).await;
    }

    /// FLUSHALL.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn flush(&self) {
        assert_eq!(ask(self.0.port, "FLUSHALL").await.as_deref(), Some("+OK"));
    }

    /// Stops it: connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.0.resume();
    }
}

async fn run(instance: &mut Instance) {
    let mut command = Command::new("redis-server");
    command.args(["--port", &instance.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(instance.folder.path());
    instance.start(&mut command, async |port| ask(port, "PING").await.as_deref() == Some("+PONG")).await;
}

/// The first line of the reply to a command.
async fn ask(port: u16, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.ok()?;
    let text = String::from_utf8_lossy(answer.get(..read)?).into_owned();
    text.lines().next().map(str::to_owned)
}
