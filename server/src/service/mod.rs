//! The use cases. A service is given a caller and a request as domain types, decides, and returns domain types. It
//! knows neither gRPC nor SQL.

pub mod access;
pub mod analytics;
pub mod cache;
pub mod cpu_pool;
pub mod execution;
pub mod models;
pub mod open_keys;
pub mod page_reader;
pub mod providers;
pub mod refresh;
pub mod registry;

pub use access::{Authenticator, Caller};
pub use analytics::AnalyticsService;
pub use cpu_pool::CpuPool;
pub use execution::ExecutionService;
pub use models::ModelService;
pub use page_reader::PageReader;
pub use providers::ProviderDirectory;
pub use registry::RegistryService;
