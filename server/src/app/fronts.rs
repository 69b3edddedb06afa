//! Serves the two fronts of a server, gRPC and HTTP, and its health.

use std::net::SocketAddr;
use std::sync::Arc;

use prompt_ledger_backends::Backends;
use prompt_ledger_engine::Engine;
use prompt_ledger_health::Monitor;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::tasks::Tasks;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::listener::Listeners;
use super::routes::Front;
use super::services::ServiceSet;
use crate::net::serve::{Ending, serve};
use crate::net::tls::Certificates;

/// The services whose health follows the database, by their full names; the empty name is the server as a whole.
const SERVICES: &[&str] = &[
    "",
    "promptledger.v1.RegistryService",
    "promptledger.v1.ExecutionService",
    "promptledger.v1.CodeRegistrationService",
    "promptledger.v1.AnalyticsService",
];

/// The fronts that are being served.
pub(super) struct Fronts {
    pub(super) addr: SocketAddr,
    /// Absent where the HTTP front is off.
    pub(super) http_addr: Option<SocketAddr>,
    /// Absent where they speak plain text.
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) health: Monitor,
    /// Fired in the drain, once the calls under way have ended.
    pub(super) calls_ended: CancellationToken,
    /// Ends after `calls_ended`, or with the error that ended a front.
    pub(super) serving: JoinHandle<Result<(), StartError>>,
}

impl Fronts {
    /// Serves until the drain begins. The tasks behind it run until its end.
    pub(super) async fn serve(
        config: &Config,
        listeners: Listeners,
        backends: &Backends,
        engine: &Engine,
        services: &ServiceSet,
        tasks: &mut Tasks,
    ) -> Result<Self, StartError> {
        let Listeners { addr, http_addr, grpc, http, health: health_listener, certificates } = listeners;
        let (refuse, stop) = (engine.drain.refuse.clone(), || engine.drain.stop.clone());
        let front = Front::new(config, services, engine);
        let (routes, reporter) = front.grpc()?;
        let health = Monitor::new(reporter.clone(), SERVICES).await;
        let router = front.http(health.clone());

        tasks.spawn("unread answers", services.answers.clone().run(stop()));
        tasks.spawn_on_thread("health monitor", health.clone().watch(backends.store.clone(), refuse.clone()))?;
        if let Some(listener) = health_listener {
            tasks.spawn("health listener", listener.serve(reporter, stop()));
        }
        if let Some(certificates) = certificates.clone() {
            tasks.spawn("certificate reload", certificates.watch(config.server.tls_reload_interval, stop()));
        }
        let calls_ended = CancellationToken::new();
        let ending = Ending { draining: refuse.clone(), ended: calls_ended.clone() };
        let (max_streams, header_timeout) = (config.server.max_streams, config.server.request_read_timeout);
        let serving = tokio::spawn(async move {
            let grpc = routes.serve_with_incoming_shutdown(grpc, refuse.cancelled_owned());
            let http = async {
                if let Some(incoming) = http {
                    serve(incoming, router, max_streams, header_timeout, ending).await;
                }
                Ok(())
            };
            tokio::try_join!(grpc, http)?;
            Ok(())
        });
        Ok(Self { addr, http_addr, certificates, health, calls_ended, serving })
    }
}
