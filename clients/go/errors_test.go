package promptledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// inWords writes PROMPT_NOT_FOUND for PromptNotFound.
func inWords(name string) string {
	var words strings.Builder
	for i, letter := range name {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			words.WriteByte('_')
		}
		words.WriteRune(letter)
	}
	return strings.ToUpper(words.String())
}

func className(err error) string { return reflect.TypeOf(err).Elem().Name() }

func TestEachReasonHasATypeBelowThatOfItsCode(t *testing.T) {
	// The codes of the contract's comments.
	ofCodes := map[codes.Code][]string{
		codes.NotFound: {"PROMPT_NOT_FOUND", "VERSION_NOT_FOUND", "LABEL_NOT_FOUND", "PROVIDER_NOT_FOUND", "MODEL_NOT_FOUND",
			"EXECUTION_NOT_FOUND", "PROJECT_NOT_FOUND"},
		codes.InvalidArgument: {"INVALID_FIELD", "TEMPLATE_INVALID", "VARIABLES_MISSING", "TEMPLATE_HASH_MISMATCH",
			"PAGE_TOKEN_INVALID"},
		codes.FailedPrecondition: {"MODE_MISMATCH", "NO_ACTIVE_VERSION", "VERSION_IN_USE", "PROMPT_ARCHIVED", "TEMPLATE_OPAQUE",
			"PROVIDER_NOT_CONFIGURED", "EXECUTION_FINISHED"},
		codes.Aborted:           {"ETAG_MISMATCH", "SLOW_CONSUMER"},
		codes.AlreadyExists:     {"PROMPT_EXISTS", "IDEMPOTENCY_KEY_REUSED"},
		codes.Unauthenticated:   {"KEY_MISSING", "KEY_INVALID"},
		codes.PermissionDenied:  {"SCOPE_MISSING"},
		codes.ResourceExhausted: {"TOO_LARGE", "OVERLOADED", "TOO_MANY_WATCHERS", "RATE_LIMITED"},
		codes.OutOfRange:        {"EVENTS_COMPACTED", "SEQUENCE_AHEAD", "REVISION_AHEAD"},
		codes.Unavailable:       {"DRAINING", "STORE_UNAVAILABLE"},
		codes.DeadlineExceeded:  {"DEADLINE_EXCEEDED"},
		codes.Unimplemented:     {"UNIMPLEMENTED"},
		codes.Internal:          {"INTERNAL"},
	}
	var tested []string
	for code, reasons := range ofCodes {
		for _, reason := range reasons {
			tested = append(tested, "ERROR_REASON_"+reason)
			err := typed(&LedgerError{Code: code, Reason: reason})
			if inWords(className(err)) != reason {
				t.Errorf("%s is a %s", reason, className(err))
			}
			// The type of the code is in the chain, and the base.
			var chain []string
			for each := err; each != nil; each = errors.Unwrap(each) {
				chain = append(chain, className(each))
			}
			ofCode := className(typed(&LedgerError{Code: code}))
			if !slices.Contains(chain, ofCode) || chain[len(chain)-1] != "LedgerError" {
				t.Errorf("%s: %v", reason, chain)
			}
		}
	}
	known := slices.DeleteFunc(slices.Collect(maps.Keys(pb.ErrorReason_value)), func(name string) bool {
		return name == "ERROR_REASON_UNSPECIFIED"
	})
	slices.Sort(known)
	slices.Sort(tested)
	if !slices.Equal(known, tested) {
		t.Errorf("the contract has %v", known)
	}
}

func TestEachCodeHasAType(t *testing.T) {
	for code, name := range codeNames {
		err := typed(&LedgerError{Code: code, Reason: "OF_TOMORROW"})
		if code == codes.OK {
			name = "LEDGER_ERROR"
		}
		if inWords(className(err)) != name {
			t.Errorf("%v is a %s", code, className(err))
		}
		base, ok := errors.AsType[*LedgerError](fmt.Errorf("wrapped: %w", err))
		if !ok || base.Code != code || base.Reason != "OF_TOMORROW" {
			t.Error(base)
		}
	}
	if err := typed(&LedgerError{Code: 99}); className(err) != "LedgerError" || err.Error() != "CODE_99" {
		t.Error(err)
	}
}

func TestAnErrorHasWhatTheServerSent(t *testing.T) {
	sent, err := status.New(codes.InvalidArgument, "for people").WithDetails(
		&errdetails.ErrorInfo{Reason: "VARIABLES_MISSING", Metadata: map[string]string{"prompt": "greet"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "variables.name", Description: "is missing"}, {Field: "variables.company", Description: "is missing"},
		}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
		&errdetails.Help{},
	)
	if err != nil {
		t.Fatal(err)
	}
	var missing *VariablesMissing
	if !errors.As(fromRPC(sent.Err(), true), &missing) {
		t.Fatal(fromRPC(sent.Err(), true))
	}
	if missing.Error() != "VARIABLES_MISSING: for people" || *missing.RetryAfter != 1500*time.Millisecond ||
		missing.Metadata["prompt"] != "greet" || !slices.Equal(missing.Missing(), []string{"company", "name"}) {
		t.Errorf("%+v", missing.LedgerError)
	}
	// As those who know gRPC alone read it.
	if status.Code(missing) != codes.InvalidArgument {
		t.Error(status.Code(missing))
	}
	reused := &IdempotencyKeyReused{&AlreadyExists{&LedgerError{Metadata: map[string]string{"execution_id": "e7"}}}}
	recorded := &Overloaded{&ResourceExhausted{&LedgerError{Metadata: map[string]string{"execution_id": "e7"}}}}
	if reused.ExecutionID() != "e7" || recorded.ExecutionID() != "e7" {
		t.Error(reused, recorded)
	}
}

func TestErrorsThatAreNoneOfGRPCs(t *testing.T) {
	own := errors.New("an interceptor's")
	if err := fromRPC(own, true); className(err) != "Unknown" || !strings.Contains(err.Error(), "an interceptor's") {
		t.Error(err)
	}
	if base := ledgerError(own); base.Code != codes.Unknown || !errors.Is(base, own) {
		t.Error(base)
	}
}

func TestDeadlinesAndEndedContextsAreFoundByIs(t *testing.T) {
	late := fromRPC(status.Error(codes.DeadlineExceeded, "late"), true)
	if _, ok := errors.AsType[*DeadlineExceeded](late); !ok || !errors.Is(late, context.DeadlineExceeded) {
		t.Error(late)
	}
	lateContext, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	why := errors.New("shutting down")
	ended, end := context.WithCancelCause(t.Context())
	end(why)
	if err := contextEnded(lateContext); className(err) != "DeadlineExceeded" || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := contextEnded(ended); className(err) != "Cancelled" || !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Error(err)
	}
}

func TestNothingBegan(t *testing.T) {
	for _, each := range []struct {
		err      LedgerError
		expected bool
	}{
		{LedgerError{Reason: "DRAINING"}, true},
		{LedgerError{Reason: "OVERLOADED"}, true},
		{LedgerError{Reason: "OVERLOADED", Metadata: map[string]string{"execution_id": "e1"}}, false},
		{LedgerError{Reason: "STORE_UNAVAILABLE", unconnected: true}, false},
		{LedgerError{unconnected: true}, true},
		{LedgerError{Code: codes.Unavailable}, false},
	} {
		if got := each.err.NothingBegan(); got != each.expected {
			t.Errorf("%+v: %v", &each.err, got)
		}
	}
}

func TestErrorsOfTheClientAreOfOneKind(t *testing.T) {
	execution := &Execution{ID: "e1", Status: StatusFailed, ErrorMessage: "too slow"}
	for _, err := range []error{
		invalidOptions("x"), clientClosed(), &GaveUp{clientError(codes.Unavailable, "x")},
		&NotResumable{clientError(codes.Unavailable, "x")},
		&Unreadable{clientError(codes.Unimplemented, "x")}, &NotSynced{clientError(codes.Unavailable, "x")}, execution.Err(),
	} {
		if _, ok := errors.AsType[*ClientError](err); !ok {
			t.Errorf("%T", err)
		}
		if _, ok := errors.AsType[*LedgerError](err); !ok {
			t.Errorf("%T", err)
		}
	}
}

func TestAFailedExecutionIsAnErrorWhereThatIsAskedFor(t *testing.T) {
	for _, each := range []struct {
		execution Execution
		message   string
	}{
		{Execution{ID: "e1", Status: StatusFailed, ErrorMessage: "too slow", ErrorType: "timeout"},
			"execution e1 failed: too slow"},
		{Execution{ID: "e1", Status: StatusFailed, ErrorType: "timeout"}, "execution e1 failed: timeout"},
		{Execution{ID: "e1", Status: StatusCanceled, CancelReason: "late"}, "execution e1 canceled: late"},
		{Execution{ID: "e1", Status: StatusCanceled}, "execution e1 canceled"},
		{Execution{ID: "e1", Status: StatusSucceeded}, ""},
		{Execution{ID: "e1", Status: StatusRunning}, ""},
	} {
		err := each.execution.Err()
		if each.message == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		failed, ok := errors.AsType[*ExecutionFailed](err)
		if !ok || failed.Execution != &each.execution || err.Error() != each.message {
			t.Error(err)
		}
	}
}
