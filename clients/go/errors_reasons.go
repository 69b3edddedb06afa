package promptledger

// By reason: one type for each ErrorReason of the contract, which wraps that of its code.

// PromptNotFound says that no prompt of that name exists in the project.
type PromptNotFound struct{ *NotFound }

func (e *PromptNotFound) Unwrap() error { return e.NotFound }

// VersionNotFound says that the prompt has no version of that number or content.
type VersionNotFound struct{ *NotFound }

func (e *VersionNotFound) Unwrap() error { return e.NotFound }

// LabelNotFound says that the prompt has no such label.
type LabelNotFound struct{ *NotFound }

func (e *LabelNotFound) Unwrap() error { return e.NotFound }

// ProviderNotFound says that the server knows no provider of that name.
type ProviderNotFound struct{ *NotFound }

func (e *ProviderNotFound) Unwrap() error { return e.NotFound }

// ModelNotFound says that the model is not registered; the message gives the call that registers it.
type ModelNotFound struct{ *NotFound }

func (e *ModelNotFound) Unwrap() error { return e.NotFound }

// ExecutionNotFound says that the project has no execution of that id.
type ExecutionNotFound struct{ *NotFound }

func (e *ExecutionNotFound) Unwrap() error { return e.NotFound }

// ProjectNotFound says that no project of that name exists, or the key is another project's.
type ProjectNotFound struct{ *NotFound }

func (e *ProjectNotFound) Unwrap() error { return e.NotFound }

// InvalidField says that a field's value breaks its rule; Fields says which and how.
type InvalidField struct{ *InvalidArgument }

func (e *InvalidField) Unwrap() error { return e.InvalidArgument }

// TemplateInvalid says that the template does not parse; Metadata has "line" and "column".
type TemplateInvalid struct{ *InvalidArgument }

func (e *TemplateInvalid) Unwrap() error { return e.InvalidArgument }

// VariablesMissing says that the template reads variables that were not sent.
type VariablesMissing struct{ *InvalidArgument }

func (e *VariablesMissing) Unwrap() error { return e.InvalidArgument }

// TemplateHashMismatch says that the hash sent with a content is not its hash; Metadata has the "computed_hash".
type TemplateHashMismatch struct{ *InvalidArgument }

func (e *TemplateHashMismatch) Unwrap() error { return e.InvalidArgument }

// PageTokenInvalid says that the page token comes from another list.
type PageTokenInvalid struct{ *InvalidArgument }

func (e *PageTokenInvalid) Unwrap() error { return e.InvalidArgument }

// ModeMismatch says that the prompt is in another mode than the call is for; Metadata has its "mode" and the RPC to use,
// "use_rpc".
type ModeMismatch struct{ *FailedPrecondition }

func (e *ModeMismatch) Unwrap() error { return e.FailedPrecondition }

// NoActiveVersion says that the prompt has no active version, and the request named none.
type NoActiveVersion struct{ *FailedPrecondition }

func (e *NoActiveVersion) Unwrap() error { return e.FailedPrecondition }

// VersionInUse says that the version is active or labelled, and cannot be deprecated.
type VersionInUse struct{ *FailedPrecondition }

func (e *VersionInUse) Unwrap() error { return e.FailedPrecondition }

// PromptArchived says that the prompt is archived: it can be read, but neither written nor executed.
type PromptArchived struct{ *FailedPrecondition }

func (e *PromptArchived) Unwrap() error { return e.FailedPrecondition }

// TemplateOpaque says that an opaque template is never rendered: execute it by [WithMessages].
type TemplateOpaque struct{ *FailedPrecondition }

func (e *TemplateOpaque) Unwrap() error { return e.FailedPrecondition }

// ProviderNotConfigured says that the provider has neither a key nor a base URL of its own.
type ProviderNotConfigured struct{ *FailedPrecondition }

func (e *ProviderNotConfigured) Unwrap() error { return e.FailedPrecondition }

// ExecutionFinished says that the execution has succeeded or failed and cannot be canceled.
type ExecutionFinished struct{ *FailedPrecondition }

func (e *ExecutionFinished) Unwrap() error { return e.FailedPrecondition }

// EtagMismatch says that the prompt was written after its etag was read.
type EtagMismatch struct{ *Aborted }

func (e *EtagMismatch) Unwrap() error { return e.Aborted }

// PromptExists says that the prompt exists, and the request has [WithCreateOnly].
type PromptExists struct{ *AlreadyExists }

func (e *PromptExists) Unwrap() error { return e.AlreadyExists }

// IdempotencyKeyReused says that another request has used that idempotency key.
type IdempotencyKeyReused struct{ *AlreadyExists }

func (e *IdempotencyKeyReused) Unwrap() error { return e.AlreadyExists }

// KeyMissing says that the request has no API key.
type KeyMissing struct{ *Unauthenticated }

func (e *KeyMissing) Unwrap() error { return e.Unauthenticated }

// KeyInvalid says that the API key is malformed, unknown, revoked or not accepted on this server.
type KeyInvalid struct{ *Unauthenticated }

func (e *KeyInvalid) Unwrap() error { return e.Unauthenticated }

// ScopeMissing says that the call needs a system key.
type ScopeMissing struct{ *PermissionDenied }

func (e *ScopeMissing) Unwrap() error { return e.PermissionDenied }

// TooLarge says that something is larger than its limit; a repeat is refused alike.
type TooLarge struct{ *ResourceExhausted }

func (e *TooLarge) Unwrap() error { return e.ResourceExhausted }

// Overloaded says that a queue or budget of the server is full; RetryAfter says when to repeat.
type Overloaded struct{ *ResourceExhausted }

func (e *Overloaded) Unwrap() error { return e.ResourceExhausted }

// TooManyWatchers says that the key or the server has its maximum of watches.
type TooManyWatchers struct{ *ResourceExhausted }

func (e *TooManyWatchers) Unwrap() error { return e.ResourceExhausted }

// RateLimited says that the key calls too often.
type RateLimited struct{ *ResourceExhausted }

func (e *RateLimited) Unwrap() error { return e.ResourceExhausted }

// EventsCompacted says that what the cursor points at is no longer stored.
type EventsCompacted struct{ *OutOfRange }

func (e *EventsCompacted) Unwrap() error { return e.OutOfRange }

// SequenceAhead says that the cursor is beyond the execution's last event.
type SequenceAhead struct{ *OutOfRange }

func (e *SequenceAhead) Unwrap() error { return e.OutOfRange }

// RevisionAhead says that the revision is beyond the project's.
type RevisionAhead struct{ *OutOfRange }

func (e *RevisionAhead) Unwrap() error { return e.OutOfRange }

// SlowConsumer says that the client did not read its stream for too long.
type SlowConsumer struct{ *Aborted }

func (e *SlowConsumer) Unwrap() error { return e.Aborted }

// Draining says that the server shuts down, or the stream has reached its maximum age.
type Draining struct{ *Unavailable }

func (e *Draining) Unwrap() error { return e.Unavailable }

// StoreUnavailable says that the database did not answer in time.
type StoreUnavailable struct{ *Unavailable }

func (e *StoreUnavailable) Unwrap() error { return e.Unavailable }

// Reasons that have the name of their code, such as INTERNAL, are told by the code.
var byReason = map[string]func(*LedgerError) error{
	"PROMPT_NOT_FOUND":        func(e *LedgerError) error { return &PromptNotFound{&NotFound{e}} },
	"VERSION_NOT_FOUND":       func(e *LedgerError) error { return &VersionNotFound{&NotFound{e}} },
	"LABEL_NOT_FOUND":         func(e *LedgerError) error { return &LabelNotFound{&NotFound{e}} },
	"PROVIDER_NOT_FOUND":      func(e *LedgerError) error { return &ProviderNotFound{&NotFound{e}} },
	"MODEL_NOT_FOUND":         func(e *LedgerError) error { return &ModelNotFound{&NotFound{e}} },
	"EXECUTION_NOT_FOUND":     func(e *LedgerError) error { return &ExecutionNotFound{&NotFound{e}} },
	"PROJECT_NOT_FOUND":       func(e *LedgerError) error { return &ProjectNotFound{&NotFound{e}} },
	"INVALID_FIELD":           func(e *LedgerError) error { return &InvalidField{&InvalidArgument{e}} },
	"TEMPLATE_INVALID":        func(e *LedgerError) error { return &TemplateInvalid{&InvalidArgument{e}} },
	"VARIABLES_MISSING":       func(e *LedgerError) error { return &VariablesMissing{&InvalidArgument{e}} },
	"TEMPLATE_HASH_MISMATCH":  func(e *LedgerError) error { return &TemplateHashMismatch{&InvalidArgument{e}} },
	"PAGE_TOKEN_INVALID":      func(e *LedgerError) error { return &PageTokenInvalid{&InvalidArgument{e}} },
	"MODE_MISMATCH":           func(e *LedgerError) error { return &ModeMismatch{&FailedPrecondition{e}} },
	"NO_ACTIVE_VERSION":       func(e *LedgerError) error { return &NoActiveVersion{&FailedPrecondition{e}} },
	"VERSION_IN_USE":          func(e *LedgerError) error { return &VersionInUse{&FailedPrecondition{e}} },
	"PROMPT_ARCHIVED":         func(e *LedgerError) error { return &PromptArchived{&FailedPrecondition{e}} },
	"TEMPLATE_OPAQUE":         func(e *LedgerError) error { return &TemplateOpaque{&FailedPrecondition{e}} },
	"PROVIDER_NOT_CONFIGURED": func(e *LedgerError) error { return &ProviderNotConfigured{&FailedPrecondition{e}} },
	"EXECUTION_FINISHED":      func(e *LedgerError) error { return &ExecutionFinished{&FailedPrecondition{e}} },
	"ETAG_MISMATCH":           func(e *LedgerError) error { return &EtagMismatch{&Aborted{e}} },
	"PROMPT_EXISTS":           func(e *LedgerError) error { return &PromptExists{&AlreadyExists{e}} },
	"IDEMPOTENCY_KEY_REUSED":  func(e *LedgerError) error { return &IdempotencyKeyReused{&AlreadyExists{e}} },
	"KEY_MISSING":             func(e *LedgerError) error { return &KeyMissing{&Unauthenticated{e}} },
	"KEY_INVALID":             func(e *LedgerError) error { return &KeyInvalid{&Unauthenticated{e}} },
	"SCOPE_MISSING":           func(e *LedgerError) error { return &ScopeMissing{&PermissionDenied{e}} },
	"TOO_LARGE":               func(e *LedgerError) error { return &TooLarge{&ResourceExhausted{e}} },
	"OVERLOADED":              func(e *LedgerError) error { return &Overloaded{&ResourceExhausted{e}} },
	"TOO_MANY_WATCHERS":       func(e *LedgerError) error { return &TooManyWatchers{&ResourceExhausted{e}} },
	"RATE_LIMITED":            func(e *LedgerError) error { return &RateLimited{&ResourceExhausted{e}} },
	"EVENTS_COMPACTED":        func(e *LedgerError) error { return &EventsCompacted{&OutOfRange{e}} },
	"SEQUENCE_AHEAD":          func(e *LedgerError) error { return &SequenceAhead{&OutOfRange{e}} },
	"REVISION_AHEAD":          func(e *LedgerError) error { return &RevisionAhead{&OutOfRange{e}} },
	"SLOW_CONSUMER":           func(e *LedgerError) error { return &SlowConsumer{&Aborted{e}} },
	"DRAINING":                func(e *LedgerError) error { return &Draining{&Unavailable{e}} },
	"STORE_UNAVAILABLE":       func(e *LedgerError) error { return &StoreUnavailable{&Unavailable{e}} },
}

// typed returns the error for a reason, or else for a code.
func typed(e *LedgerError) error {
	if of, ok := byReason[e.Reason]; ok {
		return of(e)
	}
	return ofCode(e)
}
