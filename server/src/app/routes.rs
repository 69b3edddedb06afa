//! The gRPC services of a server, with the bounds on their connections and messages.

use std::sync::Arc;

use prompt_ledger_domain::limits;
use prompt_ledger_engine::Engine;
use prompt_ledger_proto::v1::analytics_service_server::AnalyticsServiceServer;
use prompt_ledger_proto::v1::code_registration_service_server::CodeRegistrationServiceServer;
use prompt_ledger_proto::v1::execution_service_server::ExecutionServiceServer;
use prompt_ledger_proto::v1::registry_service_server::RegistryServiceServer;
use prompt_ledger_runtime::config::{Reflection, ServerConfig};
use std::time::Duration;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::server::{HealthReporter, health_reporter};
use tower::layer::util::{Identity as NoLayer, Stack};

use super::StartError;
use super::services::ServiceSet;
use crate::grpc::analytics::AnalyticsApi;
use crate::grpc::answers::Answers;
use crate::grpc::code_registration::CodeRegistrationApi;
use crate::grpc::execution::ExecutionApi;
use crate::grpc::gate::{Gate, Rules};
use crate::grpc::receive::Intake;
use crate::grpc::registry::RegistryApi;

/// HTTP/2 flow-control windows of a call and of a connection, in bytes: what a peer may send ahead of what is read. It
/// is what one connection can pin in memory before its key is known; requests are read as soon as it is. A call's
/// window holds the largest template or set of messages; a batch of 4 MiB takes sixteen round trips.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The largest header list of a call, in bytes as HTTP/2 counts them: name, value and 32 for each header. gRPC clients
/// send under 2 KiB.
const HEADER_BYTES: u32 = 8 * 1024;

/// A connection that has been silent for so long is asked whether its peer is still there, and closed where nothing comes
/// back in time. The timeout is gRPC's own default: a peer or a server whose processor is busy must not lose its calls.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest response message, encoded, in bytes: an execution is under 3 MiB, a page about 2 MiB and one row more.
const RESPONSE_BYTES: usize = 8 * 1024 * 1024;

/// All services behind the gate, and the reporter of their health.
pub(super) fn routes(
    config: &ServerConfig,
    services: &ServiceSet,
    engine: &Engine,
    answers: Answers,
) -> Result<(Router<Stack<Gate, NoLayer>>, HealthReporter), StartError> {
    let (health, health_service) = health_reporter();
    let ServiceSet { authenticator, registry, models, executions, analytics } = services;
    let (registry, models, analytics) = (Arc::clone(registry), Arc::clone(models), Arc::clone(analytics));
    let rules = Rules {
        authenticator: Arc::clone(authenticator),
        reflection: config.reflection,
        answers,
        draining: engine.drain.refuse.clone(),
        running: engine.running.clone(),
        intake: Arc::new(Intake::new(config.request_buffer, config.request_read_timeout)),
    };
    let code = CodeRegistrationApi {
        registry: Arc::clone(&registry),
        executions: Arc::clone(executions),
        models: Arc::clone(&models),
    };
    let registry = RegistryApi { registry, models, default_model: executions.default_model.clone() };
    let (reflection_v1, reflection_v1alpha) = match config.reflection {
        Reflection::Off => (None, None),
        Reflection::Open | Reflection::Key => (Some(described().build_v1()?), Some(described().build_v1alpha()?)),
    };
    let routes = Server::builder()
        .max_concurrent_streams(config.max_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(Gate::new(rules))
        .add_service(limited(RegistryServiceServer::new(registry)))
        .add_service(limited(ExecutionServiceServer::new(ExecutionApi { service: Arc::clone(executions) })))
        .add_service(limited(CodeRegistrationServiceServer::new(code)))
        .add_service(limited(AnalyticsServiceServer::new(AnalyticsApi { service: analytics })))
        .add_service(health_service)
        .add_optional_service(reflection_v1)
        .add_optional_service(reflection_v1alpha);
    Ok((routes, health))
}

macro_rules! limited {
    ($($server:ident,)*) => {$(
        impl<T> Limited for $server<T> {
            fn limited(self) -> Self {
                self.max_decoding_message_size(limits::REQUEST_BYTES).max_encoding_message_size(RESPONSE_BYTES)
            }
        }
    )*};
}

/// A service with bounds on the size of its messages.
trait Limited {
    fn limited(self) -> Self;
}

limited! { RegistryServiceServer, ExecutionServiceServer, CodeRegistrationServiceServer, AnalyticsServiceServer, }

fn limited<T: Limited>(service: T) -> T {
    service.limited()
}

/// The descriptors that reflection serves: the contract, health, reflection itself in both versions, and the details of
/// errors, so that clients such as grpcurl show reasons.
fn described() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(prompt_ledger_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        .include_reflection_service(false)
}
