//! What both front doors need, [`grpc`](crate::grpc) and [`http`](crate::http): who calls, what a call may hold, and what
//! a caller is shown of an error.

pub(crate) mod answering;
pub mod answers;
pub(crate) mod arriving;
pub mod budget;
pub mod credentials;
pub(crate) mod early_end;
pub mod errors;
pub(crate) mod headers;
pub mod remedies;
pub mod shares;

use prompt_ledger_observe::front::DoorLabel;

/// The part of the log that has a line for each call: those that write at INFO, the others at DEBUG.
pub(crate) const ACCESS: &str = "prompt_ledger_server::access";

/// A front door: the names of calls and fields are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Grpc,
    Http,
}

impl Door {
    /// How figures name it.
    pub(crate) fn label(self) -> DoorLabel {
        match self {
            Self::Grpc => DoorLabel::Grpc,
            Self::Http => DoorLabel::Http,
        }
    }
}
