//! One execution: its record, its events, its statuses, and how the record begins and ends.

mod event;
mod lifecycle;
mod record;
mod status;

pub use self::event::Event;
pub use self::lifecycle::{Ended, ExecutedVersion, ExecutionKey, Finish, NewExecution, ResolvedAt};
pub use self::record::{Attempt, Execution, ExecutionTexts, Failure, Input};
pub use self::status::{ErrorType, ExecutionMode, FinishReason, Status};
pub use crate::chat::ChatMessage;
pub use crate::params::Params;
