//! One error type, one closed list of reasons. An error says what was wrong, with what value, and what to do instead;
//! `grpc/status` in the server turns it into a status by one table.

use std::fmt;
use std::time::Duration;

use crate::limits;
use crate::mode::{Mode, Operation};

/// The result of everything that can fail for a reason a caller should know.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a request was refused. The names are part of the contract; clients branch on them.
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
    /// No prompt of that name in the project.
    PromptNotFound = "PROMPT_NOT_FOUND",
    /// The prompt has no such version.
    VersionNotFound = "VERSION_NOT_FOUND",
    /// The prompt has no such label.
    LabelNotFound = "LABEL_NOT_FOUND",
    /// No provider instance of that name.
    ProviderNotFound = "PROVIDER_NOT_FOUND",
    /// The model is not registered.
    ModelNotFound = "MODEL_NOT_FOUND",
    /// No execution of that id in the project.
    ExecutionNotFound = "EXECUTION_NOT_FOUND",
    /// No project of that name.
    ProjectNotFound = "PROJECT_NOT_FOUND",
    /// A field's value is not allowed.
    InvalidField = "INVALID_FIELD",
    /// The template does not parse, or uses what is not allowed.
    TemplateInvalid = "TEMPLATE_INVALID",
    /// The template names variables that were not sent.
    VariablesMissing = "VARIABLES_MISSING",
    /// The hash sent with a template is not the hash of its text.
    TemplateHashMismatch = "TEMPLATE_HASH_MISMATCH",
    /// The page token is not one of this list's.
    PageTokenInvalid = "PAGE_TOKEN_INVALID",
    /// The prompt is managed in the other mode.
    ModeMismatch = "MODE_MISMATCH",
    /// The prompt has no active version, and the request named none.
    NoActiveVersion = "NO_ACTIVE_VERSION",
    /// The active version cannot be deprecated.
    VersionInUse = "VERSION_IN_USE",
    /// The prompt is archived.
    PromptArchived = "PROMPT_ARCHIVED",
    /// An opaque template is never rendered.
    TemplateOpaque = "TEMPLATE_OPAQUE",
    /// The provider has neither a key nor a base URL of its own.
    ProviderNotConfigured = "PROVIDER_NOT_CONFIGURED",
    /// The execution has ended and cannot be canceled.
    ExecutionFinished = "EXECUTION_FINISHED",
    /// The prompt has changed since the etag was read.
    EtagMismatch = "ETAG_MISMATCH",
    /// The prompt exists, and the request said to create it.
    PromptExists = "PROMPT_EXISTS",
    /// The idempotency key belongs to another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
    /// No API key was sent.
    KeyMissing = "KEY_MISSING",
    /// The API key is unknown, revoked, or not accepted here.
    KeyInvalid = "KEY_INVALID",
    /// The key lacks a scope.
    ScopeMissing = "SCOPE_MISSING",
    /// Something sent is larger than its limit.
    TooLarge = "TOO_LARGE",
    /// The server or the queue is full for the moment.
    Overloaded = "OVERLOADED",
    /// The key or the server holds as many watches as it may.
    TooManyWatchers = "TOO_MANY_WATCHERS",
    /// The key sends more than its rate.
    RateLimited = "RATE_LIMITED",
    /// The events asked for are no longer kept.
    EventsCompacted = "EVENTS_COMPACTED",
    /// The cursor is beyond the last event.
    SequenceAhead = "SEQUENCE_AHEAD",
    /// The revision asked for is beyond the project's.
    RevisionAhead = "REVISION_AHEAD",
    /// The watcher did not read fast enough.
    SlowConsumer = "SLOW_CONSUMER",
    /// The server is shutting down.
    Draining = "DRAINING",
    /// The database does not answer.
    StoreUnavailable = "STORE_UNAVAILABLE",
    /// The caller's deadline passed first.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The server does not offer this.
    Unimplemented = "UNIMPLEMENTED",
    /// A failure of ours; its cause is in the log.
    Internal = "INTERNAL",
}

/// One wrong field of a request: its path, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path as the contract spells it: `spec.environment`, `variables.user.name`.
    pub field: String,
    /// What was wrong, with what value, and what to send instead.
    pub description: String,
}

/// The thing that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What it is: `prompt`, `version`, `execution`, `model`, ...
    pub kind: &'static str,
    /// Its name as the caller knows it.
    pub name: String,
}

/// What to do instead of what was refused. The layer that knows the calls names them, at the end of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The call that serves prompts of this mode.
    Use(Mode, Operation),
    /// The call that reads the history, for the mode that the prompt has.
    ReadHistory,
    /// Register the prompt, in either mode.
    RegisterPrompt,
    /// Unarchive the prompt.
    Unarchive,
    /// List the prompt's versions.
    ListVersions,
    /// Register the model.
    RegisterModel {
        /// Its provider, as it is shown.
        provider: String,
        /// Its name, as it is shown.
        model: String,
    },
    /// Read the execution.
    ReadExecution,
    /// Watch many executions by one stream.
    WatchAll,
}

/// A refused request or a failure. Cheap to move: one pointer.
#[derive(Debug)]
pub struct Error(Box<ErrorParts>);

/// What an [`Error`] carries.
#[derive(Debug)]
#[non_exhaustive]
pub struct ErrorParts {
    /// Why, from the closed list.
    pub reason: Reason,
    /// For a person: what was wrong, with what value, what to do.
    pub message: String,
    /// For a program: `prompt`, `mode`, `execution_id`, ...
    pub metadata: Vec<(&'static str, String)>,
    /// One per wrong field, at most [`limits::VIOLATIONS`].
    pub violations: Vec<Violation>,
    /// How many wrong fields were found beside those in `violations`.
    pub more_violations: usize,
    /// There may be more of them than were looked for.
    pub has_more: bool,
    /// The fields that it names are those of a `Spec`, which is a part of a request.
    pub of_spec: bool,
    /// What it is about.
    pub resource: Option<Resource>,
    /// What to do instead, where another call does it.
    pub remedy: Option<Remedy>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The cause, for the log only: a caller never sees it.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a reason and a sentence.
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

    /// A failure of ours. The cause goes to the log, an id of it to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Reason::Internal, "an internal failure").caused_by(cause)
    }

    /// One wrong field: the message names it.
    #[must_use]
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::violations(Reason::InvalidField, vec![Violation { field: field.into(), description: description.into() }])
    }

    /// Several wrong fields at once. The message names the first and counts the others; those beyond
    /// [`limits::VIOLATIONS`] are only counted.
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

    /// The same error, where there may be more wrong fields than were looked for.
    #[must_use]
    pub fn and_more(mut self) -> Self {
        self.0.has_more = true;
        self.0.message = self.0.named();
        self
    }

    /// The same error, found in a part of the request: `place` leads its fields, or its message where it names none.
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

    /// The same error, of fields of a spec.
    #[must_use]
    pub fn of_spec(mut self) -> Self {
        self.0.of_spec = true;
        self
    }

    /// Adds a value that clients read by its key.
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    /// Names what the error is about.
    #[must_use]
    pub(crate) fn about(mut self, kind: &'static str, name: impl Into<String>) -> Self {
        self.0.resource = Some(Resource { kind, name: name.into() });
        self
    }

    /// Names what to do instead.
    #[must_use]
    pub(crate) fn remedied_by(mut self, remedy: Remedy) -> Self {
        self.0.remedy = Some(remedy);
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Everything it carries.
    #[must_use]
    pub fn parts(&self) -> &ErrorParts {
        &self.0
    }
}

impl ErrorParts {
    /// The first wrong field, and how many there are beside it.
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

/// Collects wrong fields, so that one answer names them all. Those beyond [`limits::VIOLATIONS`] are only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    pub(crate) kept: Vec<Violation>,
    pub(crate) more: usize,
}

impl Violations {
    /// Keeps the value of a good field; notes the violations of a bad one. What is not a matter of fields is returned.
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

    /// Notes the violations of an error.
    pub fn note(&mut self, error: Error) {
        let ErrorParts { violations, more_violations, .. } = *error.0;
        let room = limits::VIOLATIONS.saturating_sub(self.kept.len());
        self.more += violations.len().saturating_sub(room) + more_violations;
        self.kept.extend(violations.into_iter().take(room));
    }

    /// Notes one wrong field. What is wrong with it is only spelled out where it is kept.
    pub fn add(&mut self, field: String, description: impl FnOnce() -> String) {
        if self.kept.len() < limits::VIOLATIONS {
            self.kept.push(Violation { field, description: description() });
        } else {
            self.more += 1;
        }
    }

    /// The error of this reason that holds what was noted; none where nothing was.
    #[must_use]
    pub fn into_error(self, reason: Reason) -> Option<Error> {
        (!self.kept.is_empty()).then(|| Error::counted(reason, self.kept, self.more))
    }

    /// The violations that are kept.
    #[must_use]
    pub fn kept(&self) -> &[Violation] {
        &self.kept
    }

    /// The value that was made of the kept ones; fails when anything was noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.kept.is_empty() => Ok(value),
            _ => Err(Error::counted(Reason::InvalidField, self.kept, self.more)),
        }
    }
}

#[cfg(test)]
mod tests;
