package promptledger

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fromRPC returns the error of a call that ended with one of gRPC's. hadConnection says whether one came about for it.
func fromRPC(err error, hadConnection bool) error {
	// Also of errors that are none of gRPC's, such as an interceptor's: their code is UNKNOWN.
	found, _ := status.FromError(err)
	result := &LedgerError{
		Code:        found.Code(),
		Message:     found.Message(),
		unconnected: found.Code() == codes.Unavailable && !hadConnection,
	}
	if result.Code == codes.DeadlineExceeded {
		result.cause = context.DeadlineExceeded
	}
	for _, detail := range found.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.Reason, result.Metadata = detail.Reason, detail.Metadata
		case *errdetails.BadRequest:
			result.Fields = make(map[string]string, len(detail.FieldViolations))
			for _, violation := range detail.FieldViolations {
				result.Fields[violation.Field] = violation.Description
			}
		case *errdetails.RetryInfo:
			result.RetryAfter = new(detail.RetryDelay.AsDuration())
		}
	}
	return typed(result)
}
