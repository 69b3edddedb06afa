//! Stands between a process and a broker that others use too, so that a test can cut the line.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Proxy {
    port: u16,
    /// Ends the connections that there are.
    line: Arc<Mutex<CancellationToken>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// To the port that a URL names.
    pub(crate) async fn to(url: &str) -> Self {
        let target = port_of(url).parse::<u16>().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Mutex::new(CancellationToken::new()));
        let lines = Arc::clone(&line);
        let task = tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let line = lines.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut there = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    here.set_nodelay(true).unwrap();
                    there.set_nodelay(true).unwrap();
                    line.run_until_cancelled(tokio::io::copy_bidirectional(&mut here, &mut there)).await;
                });
            }
        });
        Self { port, line, task }
    }

    /// The same URL through it.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(port_of(url), &self.port.to_string())
    }

    /// Cuts all connections; new ones are let through.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.line.lock().unwrap()).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

fn port_of(url: &str) -> &str {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap()
}
