//! The two front doors of a server, with the bounds on their connections and messages.

use std::sync::Arc;

use prompt_ledger_domain::limits;
use prompt_ledger_engine::Engine;
use prompt_ledger_health::Monitor;
use prompt_ledger_proto::v1::analytics_service_server::AnalyticsServiceServer;
use prompt_ledger_proto::v1::code_registration_service_server::CodeRegistrationServiceServer;
use prompt_ledger_proto::v1::execution_service_server::ExecutionServiceServer;
use prompt_ledger_proto::v1::registry_service_server::RegistryServiceServer;
use prompt_ledger_runtime::config::{Config, Reflection, ServerConfig};
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::server::{HealthReporter, health_reporter};
use tower::layer::util::{Identity as NoLayer, Stack};

use super::StartError;
use super::services::ServiceSet;
use crate::front::answers::Answers;
use crate::front::budget::RequestBudget;
use crate::grpc::analytics::AnalyticsApi;
use crate::grpc::code_registration::CodeRegistrationApi;
use crate::grpc::execution::ExecutionApi;
use crate::grpc::gate::{Gate, Rules};
use crate::grpc::receive::Intake;
use crate::grpc::registry::RegistryApi;

use crate::http::gate::{self, HttpGate};
use crate::http::{Api, HttpFront};
use crate::net::serve::{CONNECTION_WINDOW, HEADER_BYTES, KEEPALIVE, KEEPALIVE_TIMEOUT, PENDING_RESETS, STREAM_WINDOW};
use crate::service::Authenticator;

/// The largest response message, encoded, in bytes: an execution is under 3 MiB, a page about 2 MiB and one row more.
const RESPONSE_BYTES: usize = 8 * 1024 * 1024;

/// What both front doors serve, and the limits that they share.
pub(super) struct Front<'a> {
    config: &'a Config,
    engine: &'a Engine,
    authenticator: &'a Arc<Authenticator>,
    api: Arc<Api>,
    answers: Answers,
    budget: Arc<RequestBudget>,
}

impl<'a> Front<'a> {
    pub(super) fn new(config: &'a Config, services: &'a ServiceSet, engine: &'a Engine) -> Self {
        let ServiceSet { authenticator, registry, prompt_watches, models, executions, analytics, answers, .. } =
            services;
        let code = CodeRegistrationApi {
            registry: Arc::clone(registry),
            executions: Arc::clone(executions),
            models: Arc::clone(models),
        };
        let registry = RegistryApi {
            registry: Arc::clone(registry),
            watches: Arc::clone(prompt_watches),
            models: Arc::clone(models),
            default_model: executions.default_model.clone(),
        };
        let api = Arc::new(Api {
            registry: Arc::new(registry),
            executions: Arc::new(ExecutionApi { service: Arc::clone(executions) }),
            code: Arc::new(code),
            analytics: Arc::new(AnalyticsApi { service: Arc::clone(analytics) }),
            cpu: executions.cpu.clone(),
        });
        let budget = Arc::new(RequestBudget::new(config.server.request_buffer));
        Self { config, engine, authenticator, api, answers: answers.clone(), budget }
    }

    /// The routes of the HTTP front.
    pub(super) fn http(&self, health: Monitor) -> HttpFront {
        let gate = HttpGate {
            authenticator: Arc::clone(self.authenticator),
            answers: self.answers.shared_with(&gate::FORM),
            draining: self.engine.drain.refuse.clone(),
            running: self.engine.running.clone(),
            budget: Arc::clone(&self.budget),
            read_timeout: self.config.server.request_read_timeout,
        };
        HttpFront::new(&self.config.http, Arc::clone(&self.api), gate, health)
    }

    /// All gRPC services behind the gate, and the reporter of their health.
    pub(super) fn grpc(&self) -> Result<(Router<Stack<Gate, NoLayer>>, HealthReporter), StartError> {
        let rules = Rules {
            authenticator: Arc::clone(self.authenticator),
            reflection: self.config.server.reflection,
            answers: self.answers.clone(),
            draining: self.engine.drain.refuse.clone(),
            running: self.engine.running.clone(),
            intake: Arc::new(Intake::new(Arc::clone(&self.budget), self.config.server.request_read_timeout)),
        };
        routes(&self.config.server, &self.api, rules)
    }
}

fn routes(
    config: &ServerConfig,
    api: &Api,
    rules: Rules,
) -> Result<(Router<Stack<Gate, NoLayer>>, HealthReporter), StartError> {
    let (health, health_service) = health_reporter();
    let (reflection_v1, reflection_v1alpha) = match config.reflection {
        Reflection::Off => (None, None),
        Reflection::Open | Reflection::Key => (Some(described().build_v1()?), Some(described().build_v1alpha()?)),
    };
    let routes = Server::builder()
        .max_concurrent_streams(config.max_streams)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(Gate::new(rules))
        .add_service(limited(RegistryServiceServer::from_arc(Arc::clone(&api.registry))))
        .add_service(limited(ExecutionServiceServer::from_arc(Arc::clone(&api.executions))))
        .add_service(limited(CodeRegistrationServiceServer::from_arc(Arc::clone(&api.code))))
        .add_service(limited(AnalyticsServiceServer::from_arc(Arc::clone(&api.analytics))))
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
