//! A TCP proxy between a process and a service, with which a test cuts the connection or redirects it to another
//! service, as a load balancer or a virtual address does in a failover.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A running proxy on a free port of this machine. Dropping it closes all of its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    accepted: Arc<AtomicUsize>,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    target: u16,
    /// Closes the present connections.
    line: CancellationToken,
    /// How much later everything arrives, each way.
    delay: Duration,
}

impl Proxy {
    /// A proxy to the port of this machine that a URL names.
    ///
    /// # Panics
    /// When the URL names no port, or no port is free.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state =
            Arc::new(Mutex::new(State { target: target(url), line: CancellationToken::new(), delay: Duration::ZERO }));
        let (shared, accepted) = (Arc::clone(&state), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&accepted);
        let accepting = tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (target, line) = {
                    let state = shared.lock().unwrap();
                    (state.target, state.line.clone())
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { line.run_until_cancelled(carry(here, target, &shared)).await });
            }
        });
        Self { port, accepted, state, accepting }
    }

    /// The same URL with the proxy's port.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        url.replace(port_of(url), &self.port.to_string())
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Closes all connections; new ones are accepted.
    ///
    /// # Panics
    /// Never, unless a test panicked in here.
    pub fn cut(&self) {
        std::mem::take(&mut self.state.lock().unwrap().line).cancel();
    }

    /// Delays everything from now on, each way.
    ///
    /// # Panics
    /// Never, unless a test panicked in here.
    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// Connects new connections to the port that this URL names. Present ones stay.
    ///
    /// # Panics
    /// When the URL names no port.
    pub fn switch(&self, url: &str) {
        self.state.lock().unwrap().target = target(url);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Copies both ways until either side ends. Where the service cannot be reached, the connection is closed at once.
async fn carry(here: TcpStream, target: u16, state: &Mutex<State>) {
    let Ok(there) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _ = (here.set_nodelay(true), there.set_nodelay(true));
    let ((from_here, to_here), (from_there, to_there)) = (here.into_split(), there.into_split());
    tokio::join!(copy(from_here, to_there, state), copy(from_there, to_here, state));
}

/// Copies one way until it ends. What was read is written `delay` later, whatever is read meanwhile.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &Mutex<State>) {
    let (send, mut arrived) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let read = async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let due = Instant::now() + state.lock().unwrap().delay;
            if send.send((due, bytes[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = arrived.recv().await {
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        to.shutdown().await.ok();
    };
    tokio::join!(read, write);
}

fn target(url: &str) -> u16 {
    port_of(url).parse().unwrap()
}

fn port_of(url: &str) -> &str {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap()
}
