//! One error type, one closed list of reasons. An error says what was wrong, with what value, and what to do instead;
//! the server's `front/errors` maps each reason to a gRPC code and an HTTP status.

mod renamed;

use std::fmt;
use std::time::Duration;

use crate::limits;
use crate::mode::{Mode, Operation};

/// A result whose error has a [`Reason`] that callers see.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a request was refused or failed. The names are part of the contract: clients branch on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the contract's table.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The reason as it stands in `google.rpc.ErrorInfo.reason`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// No prompt of that name exists in the project.
    PromptNotFound = "PROMPT_NOT_FOUND",
    /// The prompt has no version of that number or checksum, or has none at all.
    VersionNotFound = "VERSION_NOT_FOUND",
    /// The label is neither `active` nor `latest`.
    LabelNotFound = "LABEL_NOT_FOUND",
    /// The server knows no provider instance of that name.
    ProviderNotFound = "PROVIDER_NOT_FOUND",
    /// The model is not registered, and its first use does not register it.
    ModelNotFound = "MODEL_NOT_FOUND",
    /// The project has no execution of that id.
    ExecutionNotFound = "EXECUTION_NOT_FOUND",
    /// No project of that name exists, or the key is another project's.
    ProjectNotFound = "PROJECT_NOT_FOUND",
    /// A field's value breaks its rule; the violations name the fields.
    InvalidField = "INVALID_FIELD",
    /// The template does not parse, or holds a construct that is not allowed.
    TemplateInvalid = "TEMPLATE_INVALID",
    /// The template reads variables that were not sent; the violations name their paths.
    VariablesMissing = "VARIABLES_MISSING",
    /// The hash sent with a template is not the sha-256 of its text.
    TemplateHashMismatch = "TEMPLATE_HASH_MISMATCH",
    /// The page token is malformed, or comes from another list, project or filter.
    PageTokenInvalid = "PAGE_TOKEN_INVALID",
    /// The call, or the mode in the request, is for the mode that the prompt is not in.
    ModeMismatch = "MODE_MISMATCH",
    /// The prompt has no active version, and the request named none.
    NoActiveVersion = "NO_ACTIVE_VERSION",
    /// The version is the active one and cannot be deprecated.
    VersionInUse = "VERSION_IN_USE",
    /// The prompt is archived: it can be read, but neither written nor executed.
    PromptArchived = "PROMPT_ARCHIVED",
    /// A version of format `opaque` cannot be rendered, nor its prompt move to full mode while it is active.
    TemplateOpaque = "TEMPLATE_OPAQUE",
    /// The provider has neither a key nor a base URL of its own.
    ProviderNotConfigured = "PROVIDER_NOT_CONFIGURED",
    /// The execution has succeeded or failed and cannot be canceled.
    ExecutionFinished = "EXECUTION_FINISHED",
    /// The prompt was written after the etag was read, or does not exist.
    EtagMismatch = "ETAG_MISMATCH",
    /// The prompt exists, and the request has `create_only` set.
    PromptExists = "PROMPT_EXISTS",
    /// The prompt has an execution with that idempotency key, made by another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
    /// The request has no API key.
    KeyMissing = "KEY_MISSING",
    /// The API key is malformed, unknown, revoked or not accepted on this server.
    KeyInvalid = "KEY_INVALID",
    /// The call needs a system key, and the key is a project's.
    ScopeMissing = "SCOPE_MISSING",
    /// Something is larger than its limit in bytes, or a rendering takes more than [`limits::RENDER_STEPS`] steps.
    TooLarge = "TOO_LARGE",
    /// A queue, pool or byte budget of the server is full; `retry_after` says when to retry.
    Overloaded = "OVERLOADED",
    /// The key or the server has its maximum of watching streams.
    TooManyWatchers = "TOO_MANY_WATCHERS",
    /// Reserved for a rate limit per key; not raised yet.
    RateLimited = "RATE_LIMITED",
    /// Reserved for events that are no longer stored; not raised yet.
    EventsCompacted = "EVENTS_COMPACTED",
    /// The cursor is beyond the execution's last event.
    SequenceAhead = "SEQUENCE_AHEAD",
    /// `min_revision`, or the cursor of a watch, is beyond the project's revision.
    RevisionAhead = "REVISION_AHEAD",
    /// The client did not read its stream for too long.
    SlowConsumer = "SLOW_CONSUMER",
    /// The server is shutting down, or the stream has reached its maximum age.
    Draining = "DRAINING",
    /// The database did not answer, or not in time.
    StoreUnavailable = "STORE_UNAVAILABLE",
    /// The caller's deadline passed before the answer was ready.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The server has no such method, or does not read the request's encoding.
    Unimplemented = "UNIMPLEMENTED",
    /// A failure of the server; its log has the cause, under the `error_id` in the metadata.
    Internal = "INTERNAL",
}

/// One wrong field of a request: its path, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path as in the request: `spec.environment`, `variables.user.name`.
    pub field: String,
    /// What was wrong, with what value, and what to send instead.
    pub description: String,
}

/// What an error is about, as in `google.rpc.ResourceInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `execution`, `label`, `model`, `project`, `prompt`, `provider` or `version`.
    pub kind: &'static str,
    /// The name or id as the caller sent it, cut to 64 bytes where it was not checked before.
    pub name: String,
}

/// What to do instead of the refused call. The server appends the call's name to the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Call the RPC that does this operation for prompts of this mode.
    Use(Mode, Operation),
    /// Read the history without a mode, or with the prompt's own.
    ReadHistory,
    /// Register the prompt, in either mode, and repeat the call.
    RegisterPrompt,
    /// Unarchive the prompt and repeat the call.
    Unarchive,
    /// List the prompt's versions and name one of them.
    ListVersions,
    /// Register the model and repeat the call.
    RegisterModel {
        /// The provider's name, cut to 64 bytes.
        provider: String,
        /// The model's name, cut to 64 bytes.
        model: String,
    },
    /// Read the execution, which has ended, instead of canceling it.
    ReadExecution,
    /// End some streams, or watch many executions by one stream.
    WatchAll,
}

/// A refused request or a failure. Cheap to move: one pointer.
#[derive(Debug)]
pub struct Error(Box<ErrorParts>);

/// The parts of an [`Error`], read by [`Error::parts`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ErrorParts {
    /// The reason, from which the gRPC code follows.
    pub reason: Reason,
    /// For a person: what was wrong, with what value, and what to do. It does not name the remedy's call.
    pub message: String,
    /// For a program, by key: `prompt`, `mode`, `execution_id`, ... (`google.rpc.ErrorInfo.metadata`).
    pub metadata: Vec<(&'static str, String)>,
    /// The wrong fields, at most [`limits::VIOLATIONS`]; empty where the error is not about fields.
    pub violations: Vec<Violation>,
    /// Number of wrong fields found beyond those in `violations`.
    pub more_violations: usize,
    /// Whether the search stopped early, so that `more_violations` is a lower bound.
    pub has_more: bool,
    /// Whether the fields are those of a `Spec`: the server then puts `spec.` before their paths.
    pub of_spec: bool,
    /// Absent where the error is about the request alone.
    pub resource: Option<Resource>,
    /// Absent where no other call helps.
    pub remedy: Option<Remedy>,
    /// How long to wait before a retry (`google.rpc.RetryInfo`); absent where a retry is not advised.
    pub retry_after: Option<Duration>,
    /// The underlying error, for the log only; never sent to a caller.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a reason and a message, and nothing else.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorParts {
            reason,
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            more_violations: 0,
            has_more: false,
            of_spec: false,
            resource: None,
            remedy: None,
            retry_after: None,
            cause: None,
        }))
    }

    /// [`Reason::Internal`]. The server logs the cause under an id, and sends the id only.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Reason::Internal, "an internal failure").caused_by(cause)
    }

    /// [`Reason::InvalidField`] with one violation.
    #[must_use]
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::violations(Reason::InvalidField, vec![Violation { field: field.into(), description: description.into() }])
    }

    /// An error with several violations. The message names the first and counts the others; those beyond
    /// [`limits::VIOLATIONS`] are counted, not kept.
    #[must_use]
    pub fn violations(reason: Reason, mut violations: Vec<Violation>) -> Self {
        let more = violations.len().saturating_sub(limits::VIOLATIONS);
        violations.truncate(limits::VIOLATIONS);
        Self::counted(reason, violations, more)
    }

    pub(crate) fn counted(reason: Reason, violations: Vec<Violation>, more: usize) -> Self {
        let mut error = Self::new(reason, String::new());
        error.0.violations = violations;
        error.0.more_violations = more;
        error.0.message = error.0.named();
        error
    }

    /// Sets `has_more`: the message then says "at least" before the count.
    #[must_use]
    pub fn and_more(mut self) -> Self {
        self.0.has_more = true;
        self.0.message = self.0.named();
        self
    }

    /// Puts `place` and a dot before the path of each violation; an error without violations has it before its message.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        for violation in &mut self.0.violations {
            violation.field = format!("{place}.{}", violation.field);
        }
        self.0.message = match self.0.violations.as_slice() {
            [] => format!("{place}: {}", self.0.message),
            _ => self.0.named(),
        };
        self
    }

    /// Marks the violations as fields of a `Spec`.
    #[must_use]
    pub fn of_spec(mut self) -> Self {
        self.0.of_spec = true;
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn about(mut self, kind: &'static str, name: impl Into<String>) -> Self {
        self.0.resource = Some(Resource { kind, name: name.into() });
        self
    }

    #[must_use]
    pub(crate) fn remedied_by(mut self, remedy: Remedy) -> Self {
        self.0.remedy = Some(remedy);
        self
    }

    /// Sets how long to wait before a retry.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Attaches the underlying error, for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The reason, from the closed list.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Everything that the error carries, the cause included.
    #[must_use]
    pub fn parts(&self) -> &ErrorParts {
        &self.0
    }
}

impl ErrorParts {
    /// The message of an error with violations: the first one, and the number of the others.
    fn named(&self) -> String {
        let at_least = if self.has_more { "at least " } else { "" };
        let Some((first, rest)) = self.violations.split_first() else { return "the request is not valid".to_owned() };
        match rest.len() + self.more_violations {
            0 => format!("{}: {}", first.field, first.description),
            more => format!("{}: {} (and {at_least}{more} more)", first.field, first.description),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason.as_str(), self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

/// Collects violations, so that one error names all wrong fields. Those beyond [`limits::VIOLATIONS`] are counted, not
/// kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    pub(crate) kept: Vec<Violation>,
    pub(crate) more: usize,
}

impl Violations {
    /// Passes a checked value through. INVALID_FIELD is collected and gives `None`; any other error is returned.
    pub fn keep<T>(&mut self, checked: Result<T>) -> Result<Option<T>> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.reason() == Reason::InvalidField => {
                self.note(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Collects the violations of an error; its reason and message are dropped.
    pub fn note(&mut self, error: Error) {
        let ErrorParts { violations, more_violations, .. } = *error.0;
        let room = limits::VIOLATIONS.saturating_sub(self.kept.len());
        self.more += violations.len().saturating_sub(room) + more_violations;
        self.kept.extend(violations.into_iter().take(room));
    }

    /// Collects one violation. `description` is called only where the violation is kept.
    pub fn add(&mut self, field: String, description: impl FnOnce() -> String) {
        if self.kept.len() < limits::VIOLATIONS {
            self.kept.push(Violation { field, description: description() });
        } else {
            self.more += 1;
        }
    }

    /// An error of this reason with all that was collected; `None` where nothing was.
    #[must_use]
    pub fn into_error(self, reason: Reason) -> Option<Error> {
        (!self.kept.is_empty()).then(|| Error::counted(reason, self.kept, self.more))
    }

    /// The violations collected, at most [`limits::VIOLATIONS`].
    #[must_use]
    pub fn kept(&self) -> &[Violation] {
        &self.kept
    }

    /// The value, where nothing was collected; otherwise INVALID_FIELD with all that was.
    pub fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.kept.is_empty() => Ok(value),
            _ => Err(Error::counted(Reason::InvalidField, self.kept, self.more)),
        }
    }
}

#[cfg(test)]
mod tests;
