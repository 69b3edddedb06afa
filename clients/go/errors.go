package promptledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// LedgerError is what every error of this package is, found by [errors.As]. It wraps [context.DeadlineExceeded] where a deadline
// has passed, and the error of the caller's context where that has ended.
type LedgerError struct {
	// Code is the gRPC status code.
	Code codes.Code
	// Reason is the name in the contract's ErrorReason, without its prefix, as it was sent. Empty: no server gave one.
	Reason string
	// Message is for people.
	Message string
	// Fields says what is wrong with which field of the request.
	Fields map[string]string
	// Metadata is what else the server tells, such as "prompt" or "execution_id".
	Metadata map[string]string
	// RetryAfter is how long the server asks to wait before a repeat. Absent: it does not ask.
	RetryAfter *time.Duration

	// No connection came about: the server has not seen the call.
	unconnected bool
	cause       error
}

// Error begins with the reason, or else with the code.
func (e *LedgerError) Error() string {
	what := e.Reason
	if what == "" {
		what = codeName(e.Code)
	}
	if e.Message == "" {
		return what
	}
	return what + ": " + e.Message
}

func (e *LedgerError) Unwrap() error { return e.cause }

// GRPCStatus lets [status.Code] and [status.FromError] read the error.
func (e *LedgerError) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// NothingBegan says whether the server has certainly not begun with the request.
func (e *LedgerError) NothingBegan() bool {
	switch e.Reason {
	case "DRAINING", "OVERLOADED":
		return e.Metadata["execution_id"] == ""
	case "":
		return e.unconnected
	default:
		return false
	}
}

// ledgerError returns what all errors of this package have in common.
func ledgerError(err error) *LedgerError {
	base, ok := errors.AsType[*LedgerError](err)
	if !ok {
		return &LedgerError{Code: codes.Unknown, Message: err.Error(), cause: err}
	}
	return base
}

// codeName returns a code as it stands in gRPC's specification, such as NOT_FOUND.
func codeName(code codes.Code) string {
	if name, ok := codeNames[code]; ok {
		return name
	}
	return fmt.Sprintf("CODE_%d", code)
}

var codeNames = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

// Missing returns the names of the variables that the template reads and that were not sent, sorted.
func (e *VariablesMissing) Missing() []string {
	var names []string
	for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
		names = append(names, strings.TrimPrefix(field, "variables."))
	}
	return names
}

// ExecutionID returns the execution that has the key.
func (e *IdempotencyKeyReused) ExecutionID() string { return e.Metadata["execution_id"] }

// ExecutionID returns the execution that was recorded all the same: read it instead. Empty: none was.
func (e *Overloaded) ExecutionID() string { return e.Metadata["execution_id"] }

// Of this client alone.

// ClientError is what the errors that no server sent have in common.
type ClientError struct{ *LedgerError }

func (e *ClientError) Unwrap() error { return e.LedgerError }

// InvalidOptions says that the options of the client cannot be used.
type InvalidOptions struct{ *ClientError }

func (e *InvalidOptions) Unwrap() error { return e.ClientError }

// ClientClosed says that the client, or what was read, was closed.
type ClientClosed struct{ *ClientError }

func (e *ClientClosed) Unwrap() error { return e.ClientError }

// GaveUp says that a watch broke, and nothing came of trying for the patience of the client.
type GaveUp struct{ *ClientError }

func (e *GaveUp) Unwrap() error { return e.ClientError }

// NotResumable says that a stream broke. Its execution has no idempotency key, so it is canceled, if it began.
type NotResumable struct{ *ClientError }

func (e *NotResumable) Unwrap() error { return e.ClientError }

// Unreadable says that the execution ended in a way that this client does not know; a newer client is needed.
type Unreadable struct{ *ClientError }

func (e *Unreadable) Unwrap() error { return e.ClientError }

// NotSynced says that the prompt cache has not been filled yet.
type NotSynced struct{ *ClientError }

func (e *NotSynced) Unwrap() error { return e.ClientError }

// ExecutionFailed says that the execution failed, or was canceled. It is what [Execution.Err] returns.
type ExecutionFailed struct {
	*ClientError
	Execution *Execution
}

func (e *ExecutionFailed) Unwrap() error { return e.ClientError }

// Error says what became of the execution, and why.
func (e *ExecutionFailed) Error() string { return e.Message }

func clientError(code codes.Code, format string, values ...any) *ClientError {
	return &ClientError{&LedgerError{Code: code, Message: fmt.Sprintf(format, values...)}}
}

func invalidOptions(format string, values ...any) error {
	return &InvalidOptions{clientError(codes.InvalidArgument, format, values...)}
}

// invalidField is the error that a server would give, for what cannot be sent to one.
func invalidField(field, format string, values ...any) error {
	problem := fmt.Sprintf(format, values...)
	return &InvalidField{&InvalidArgument{&LedgerError{
		Code:    codes.InvalidArgument,
		Reason:  "INVALID_FIELD",
		Message: field + ": " + problem,
		Fields:  map[string]string{field: problem},
	}}}
}

// noProgress is the error where a server answers in a way that would be asked for again without end.
func noProgress(why string) error {
	return &Internal{&LedgerError{Code: codes.Internal, Message: why}}
}

func clientClosed() error { return &ClientClosed{clientError(codes.Canceled, "the client was closed")} }

// contextEnded is the error of a call whose context has ended. It wraps the context's error, and its cause.
func contextEnded(ctx context.Context) error {
	cause := ctx.Err()
	if more := context.Cause(ctx); more != cause {
		cause = errors.Join(cause, more)
	}
	if ctx.Err() == context.DeadlineExceeded {
		return &DeadlineExceeded{&LedgerError{Code: codes.DeadlineExceeded, Message: "the deadline passed", cause: cause}}
	}
	return &Cancelled{&LedgerError{Code: codes.Canceled, Message: "the context was canceled", cause: cause}}
}
