//! One execution: its record, its events, its statuses, and how the record begins and ends.

mod event;
mod lifecycle;
mod record;
mod status;
mod timeout;

pub use self::event::Event;
pub use self::lifecycle::{Ended, ExecutedVersion, ExecutionKey, Finish, NewExecution, ResolvedAt, usual_requests};
pub use self::record::{Attempt, Execution, ExecutionTexts, Failure, Input};
pub use self::status::{ErrorType, ExecutionMode, FinishReason, Status};
pub use self::timeout::CallTimeout;
pub use crate::chat::ChatMessage;
pub use crate::params::Params;
