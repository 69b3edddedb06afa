//! Measures an attack; and an HTTP/2 client that sends frames which no well-behaved client does.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::{Builder, DEVELOPMENT_KEY, Ledger, Metadata, server};
use tokio::net::TcpStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

/// The pause between two calls of the honest client.
const PROBE_PAUSE: Duration = Duration::from_millis(10);
/// The longest that a call of the honest client may take: only a server that hangs exceeds it, however busy the
/// machine is.
pub(crate) const HUNG: Duration = Duration::from_secs(20);
/// A call of the honest client that takes longer counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// The clock of /proc, in ticks per second (USER_HZ, 100 on every Linux).
const TICKS: u64 = 100;

/// The server's binary in `dev`, as a user starts it.
pub(crate) fn ledger() -> Builder {
    // What is refused is told once in a while.
    let ledger = server(env!("CARGO_BIN_EXE_prompt-ledger"));
    ledger.expects("calls are refused with RESOURCE_EXHAUSTED").expects("new connections are closed at once")
}

/// Measures a server's process, and an honest client that calls it from a thread and a connection of its own, from
/// [`Meter::start`] to [`Meter::finish`].
pub(crate) struct Meter {
    pid: u32,
    began: Instant,
    cpu: Duration,
    resident: u64,
    stop: Arc<AtomicBool>,
    honest: JoinHandle<Vec<Option<Duration>>>,
}

/// The measured cost of an attack.
#[derive(Debug)]
pub(crate) struct Toll {
    /// Resident memory before, at its peak, and after, in MiB.
    pub(crate) before_mib: u64,
    pub(crate) peak_mib: u64,
    pub(crate) after_mib: u64,
    /// Processor time of the server's process.
    pub(crate) cpu: Duration,
    pub(crate) elapsed: Duration,
    /// The latencies of the honest client's calls, sorted; a call that failed is not among them.
    pub(crate) latencies: Vec<Duration>,
    /// Failed calls of the honest client.
    pub(crate) failed: usize,
}

impl Toll {
    /// The peak of memory above what was resident before, in MiB.
    pub(crate) fn grown_mib(&self) -> u64 {
        self.peak_mib.saturating_sub(self.before_mib)
    }

    /// The longest latency of the honest client's calls.
    pub(crate) fn slowest(&self) -> Duration {
        self.latencies.last().copied().unwrap_or(Duration::MAX)
    }

    fn median(&self) -> Duration {
        self.latencies.get(self.latencies.len() / 2).copied().unwrap_or(Duration::MAX)
    }
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before_mib, peak_mib, after_mib, cpu, elapsed, latencies, failed } = self;
        write!(
            f,
            "RSS {before_mib} -> {peak_mib} (peak) -> {after_mib} MiB, CPU {:.2} s of {:.2} s, honest client: {} calls, p50 \
             {:.1} ms, slowest {:.1} ms, {failed} failed",
            cpu.as_secs_f64(),
            elapsed.as_secs_f64(),
            latencies.len(),
            self.median().as_secs_f64() * 1e3,
            self.slowest().as_secs_f64() * 1e3,
        )
    }
}

impl Meter {
    /// Starts measuring. Registers the prompt `honest`, which the honest client reads again and again.
    pub(crate) async fn start(ledger: &Ledger) -> Self {
        ledger.active("honest", "hello").await;
        let pid = ledger.pid();
        // Resets the peak of the resident memory.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let honest = std::thread::spawn({
            let (addr, stop) = (ledger.addr.clone(), Arc::clone(&stop));
            move || probe(&addr, &stop)
        });
        let resident = memory(pid, "VmRSS:");
        Self { pid, began: Instant::now(), cpu: processor_time(pid), resident, stop, honest }
    }

    /// Stops measuring, and prints the result under this name.
    pub(crate) fn finish(self, attack: &str) -> Toll {
        self.stop.store(true, Ordering::Relaxed);
        let calls = self.honest.join().unwrap();
        let mut latencies: Vec<_> = calls.iter().flatten().copied().collect();
        latencies.sort_unstable();
        let toll = Toll {
            before_mib: self.resident,
            peak_mib: memory(self.pid, "VmHWM:"),
            after_mib: memory(self.pid, "VmRSS:"),
            cpu: processor_time(self.pid) - self.cpu,
            elapsed: self.began.elapsed(),
            failed: calls.len() - latencies.len(),
            latencies,
        };
        println!("{attack}: {toll}");
        toll
    }
}

/// Calls GetPrompt again and again until `stop`: the latency of each call, absent where it failed.
fn probe(addr: &str, stop: &AtomicBool) -> Vec<Option<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().tcp_nodelay(true).connect_lazy();
        let key = Metadata::key(DEVELOPMENT_KEY);
        let mut client = RegistryServiceClient::new(InterceptedService::new(channel, key));
        let mut calls = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let request = v1::GetPromptRequest { name: "honest".to_owned(), ..v1::GetPromptRequest::default() };
            let called = tokio::time::timeout(PROBE_TIMEOUT, client.get_prompt(request)).await;
            calls.push(matches!(called, Ok(Ok(_))).then(|| began.elapsed()));
            tokio::time::sleep(PROBE_PAUSE).await;
        }
        calls
    })
}

/// A line of /proc/PID/status that is in kB, converted to MiB.
pub(crate) fn memory(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// The processor time that a process has used so far, user and system.
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the process, in parentheses, may hold spaces; utime and stime are the 14th and the 15th field.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// A connection on which the test sends frame by frame.
#[derive(Clone)]
pub(crate) struct Wire {
    requests: SendRequest<Bytes>,
    authority: String,
}

impl Wire {
    /// Connects, with a receive window of `window` bytes for each stream; 0 reads nothing.
    pub(crate) async fn connect(addr: &str, window: u32) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).initial_connection_window_size(16 * 1024 * 1024);
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { requests, authority: addr.to_owned() }
    }

    /// Opens a call with these headers beside those that every gRPC call has; the caller sends its body.
    pub(crate) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://{}{path}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut ready = self.requests.clone().ready().await.unwrap();
        ready.send_request(request.body(()).unwrap(), false).unwrap()
    }

    /// Sends a GET without a body or a key.
    pub(crate) async fn get(&self, path: &str) -> ResponseFuture {
        let request = Request::get(format!("http://{}{path}", self.authority)).body(()).unwrap();
        let mut ready = self.requests.clone().ready().await.unwrap();
        ready.send_request(request, true).unwrap().0
    }

    /// Calls with one message, and returns the `grpc-status` of headers or trailers.
    pub(crate) async fn call(&self, path: &str, headers: &[(&str, &str)], message: &[u8]) -> String {
        let (response, mut body) = self.open(path, headers).await;
        // A server that refuses early resets the stream, so that sending may fail.
        let _ = send(&mut body, framed(message), true).await;
        let (head, rest) = response.await.unwrap().into_parts();
        status_of(Response::from_parts(head, rest)).await
    }
}

/// Waits for the end of a response, and returns its `grpc-status`.
pub(crate) async fn status_of(response: Response<RecvStream>) -> String {
    let of = |headers: &HeaderMap| Some(headers.get("grpc-status")?.to_str().ok()?.to_owned());
    if let Some(status) = of(response.headers()) {
        return status;
    }
    let mut body = response.into_body();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
    }
    body.trailers().await.unwrap().as_ref().and_then(of).unwrap()
}

/// Sends bytes on a stream as its window allows; fails where the stream has ended.
pub(crate) async fn send(body: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let Some(room) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else { return Ok(()) };
        let piece = bytes.split_to(room?.min(bytes.len()));
        body.send_data(piece, end && bytes.is_empty())?;
    }
    Ok(())
}

/// A gRPC frame: uncompressed, the length of the message, the message.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}
