//! The least that any server of this kind costs on this machine, as a process of its own: a bare tonic server that appends a
//! page and syncs it, calls the model over a kept connection, appends and syncs again, and answers. No key, no prompt, no
//! database; calls that wait for the disk share a sync.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::analytics_service_server::{AnalyticsService, AnalyticsServiceServer};
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Connection, DEVELOPMENT_KEY};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::Mutex;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::direct::Direct;
use super::load::{Times, closed_loop};
use super::main_job::{CONNECTIONS, connections};
use super::release::FigureError;
use xtask::CommandOutcome;

/// What is appended for a record: one page.
const PAGE: [u8; 4096] = [7; 4096];
/// The size of its answers, in bytes: about that of an execution.
const ANSWER: usize = 400;

/// A log that syncs once for all that was appended while the sync before ran.
struct SharedLog {
    file: Mutex<File>,
    appended: AtomicU64,
    /// How many pages are durable.
    synced: Mutex<u64>,
    syncing: File,
}

impl SharedLog {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::create(path)?;
        let syncing = file.try_clone()?;
        Ok(Self { file: Mutex::new(file), appended: AtomicU64::new(0), synced: Mutex::new(0), syncing })
    }

    /// Appends a page; returns once it is durable.
    async fn record(&self) -> std::io::Result<()> {
        let own = {
            let mut file = self.file.lock().await;
            file.write_all(&PAGE)?;
            self.appended.fetch_add(1, Ordering::AcqRel) + 1
        };
        let mut synced = self.synced.lock().await;
        if *synced < own {
            let all = self.appended.load(Ordering::Acquire);
            self.syncing.sync_data()?;
            *synced = all;
        }
        Ok(())
    }
}

struct FloorService {
    log: SharedLog,
    model: Direct,
    /// The model's connections that nobody uses.
    free: std::sync::Mutex<Vec<usize>>,
}

#[tonic::async_trait]
impl AnalyticsService for FloorService {
    async fn get_prompt_analytics(
        &self,
        _: Request<v1::GetPromptAnalyticsRequest>,
    ) -> Result<Response<v1::GetPromptAnalyticsResponse>, Status> {
        Err(Status::unimplemented("only QueryUsage is answered"))
    }

    async fn query_usage(&self, _: Request<v1::QueryUsageRequest>) -> Result<Response<v1::QueryUsageResponse>, Status> {
        let failed = |error: FigureError| Status::internal(error.to_string());
        let connection = self.free.lock().ok().and_then(|mut free| free.pop());
        let connection = connection.ok_or_else(|| Status::resource_exhausted("more callers than connections"))?;
        self.log.record().await?;
        self.model.clone().call(connection).await.map_err(failed)?;
        self.log.record().await?;
        if let Ok(mut free) = self.free.lock() {
            free.push(connection);
        }
        let next_page_token = "x".repeat(ANSWER);
        Ok(Response::new(v1::QueryUsageResponse { next_page_token, ..v1::QueryUsageResponse::default() }))
    }
}

/// Serves until the process is ended; prints its address.
pub(super) async fn serve(model: &str, folder: &Path, callers: usize) -> CommandOutcome {
    let service = async || -> Result<FloorService, FigureError> {
        let (log, model) = (SharedLog::create(&folder.join("log"))?, Direct::connect_to(model, callers).await?);
        Ok(FloorService { log, model, free: std::sync::Mutex::new((0..callers).collect()) })
    };
    let service = service().await.map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_service(AnalyticsServiceServer::new(service)).serve_with_incoming(incoming).await?;
    Ok(ExitCode::SUCCESS)
}

/// The running process, and callers' connections to it.
pub(super) struct Floor {
    process: Child,
    clients: Arc<[AnalyticsServiceClient<Connection>]>,
    _folder: tempfile::TempDir,
}

impl Floor {
    /// For at most so many callers at once.
    pub(super) async fn start(model: &FakeModel, callers: usize) -> Result<Self, FigureError> {
        let folder = tempfile::tempdir()?;
        let mut process = tokio::process::Command::new(std::env::current_exe()?)
            .args(["floor-server", &model.base_url(), &callers.to_string()])
            .arg(PathBuf::from(folder.path()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the floor has no output")?;
        let addr = BufReader::new(stdout).lines().next_line().await?.ok_or("the floor did not start")?;
        let clients = connections(&addr, DEVELOPMENT_KEY).await?.into_iter().map(AnalyticsServiceClient::new).collect();
        Ok(Self { process, clients, _folder: folder })
    }

    /// Its process id; 0 once it has ended.
    pub(super) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Calls in a closed loop.
    pub(super) async fn calls(&self, callers: usize, length: Duration) -> Result<Times, FigureError> {
        let clients = Arc::clone(&self.clients);
        closed_loop(callers, length, move |caller| {
            let mut client = clients[caller % CONNECTIONS].clone();
            async move { client.query_usage(v1::QueryUsageRequest::default()).await.map(|_| ()) }
        })
        .await
    }
}
