package promptledger

import "google.golang.org/grpc/codes"

// By gRPC's code: what an error is whose reason this client does not know, or that has none. The errors of reasons wrap them.

// Cancelled says that the call was ended by its caller, or its connection broke.
type Cancelled struct{ *LedgerError }

func (e *Cancelled) Unwrap() error { return e.LedgerError }

// Unknown says that the connection broke, or something between answered.
type Unknown struct{ *LedgerError }

func (e *Unknown) Unwrap() error { return e.LedgerError }

// InvalidArgument says that the request is wrong, whatever the state of the ledger.
type InvalidArgument struct{ *LedgerError }

func (e *InvalidArgument) Unwrap() error { return e.LedgerError }

// DeadlineExceeded says that the deadline passed. What an execution with an idempotency key came to, a repeat finds.
type DeadlineExceeded struct{ *LedgerError }

func (e *DeadlineExceeded) Unwrap() error { return e.LedgerError }

// NotFound says that something that the request names does not exist.
type NotFound struct{ *LedgerError }

func (e *NotFound) Unwrap() error { return e.LedgerError }

// AlreadyExists says that something that the request would make exists.
type AlreadyExists struct{ *LedgerError }

func (e *AlreadyExists) Unwrap() error { return e.LedgerError }

// PermissionDenied says that the key does not open this.
type PermissionDenied struct{ *LedgerError }

func (e *PermissionDenied) Unwrap() error { return e.LedgerError }

// ResourceExhausted says that something is too much, too many or too large.
type ResourceExhausted struct{ *LedgerError }

func (e *ResourceExhausted) Unwrap() error { return e.LedgerError }

// FailedPrecondition says that the ledger is not in the state that the request needs.
type FailedPrecondition struct{ *LedgerError }

func (e *FailedPrecondition) Unwrap() error { return e.LedgerError }

// Aborted says that the call met another one.
type Aborted struct{ *LedgerError }

func (e *Aborted) Unwrap() error { return e.LedgerError }

// OutOfRange says that a cursor is beyond what there is.
type OutOfRange struct{ *LedgerError }

func (e *OutOfRange) Unwrap() error { return e.LedgerError }

// Unimplemented says that the server has no such method, or does not read the request's encoding.
type Unimplemented struct{ *LedgerError }

func (e *Unimplemented) Unwrap() error { return e.LedgerError }

// Internal is a failure of the server, or a broken connection. Metadata["error_id"] finds the cause in the server's log.
type Internal struct{ *LedgerError }

func (e *Internal) Unwrap() error { return e.LedgerError }

// Unavailable says that there is no connection, it broke, or the server cannot answer now.
type Unavailable struct{ *LedgerError }

func (e *Unavailable) Unwrap() error { return e.LedgerError }

// DataLoss is not sent by servers of this release.
type DataLoss struct{ *LedgerError }

func (e *DataLoss) Unwrap() error { return e.LedgerError }

// Unauthenticated says that the key is missing or wrong.
type Unauthenticated struct{ *LedgerError }

func (e *Unauthenticated) Unwrap() error { return e.LedgerError }

// ofCode returns the error for a code; the plain one where the code is none of gRPC's.
func ofCode(e *LedgerError) error {
	switch e.Code {
	case codes.Canceled:
		return &Cancelled{e}
	case codes.Unknown:
		return &Unknown{e}
	case codes.InvalidArgument:
		return &InvalidArgument{e}
	case codes.DeadlineExceeded:
		return &DeadlineExceeded{e}
	case codes.NotFound:
		return &NotFound{e}
	case codes.AlreadyExists:
		return &AlreadyExists{e}
	case codes.PermissionDenied:
		return &PermissionDenied{e}
	case codes.ResourceExhausted:
		return &ResourceExhausted{e}
	case codes.FailedPrecondition:
		return &FailedPrecondition{e}
	case codes.Aborted:
		return &Aborted{e}
	case codes.OutOfRange:
		return &OutOfRange{e}
	case codes.Unimplemented:
		return &Unimplemented{e}
	case codes.Internal:
		return &Internal{e}
	case codes.Unavailable:
		return &Unavailable{e}
	case codes.DataLoss:
		return &DataLoss{e}
	case codes.Unauthenticated:
		return &Unauthenticated{e}
	default:
		return e
	}
}
