package promptledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

const soon = 10 * time.Millisecond

func TestARunAnswersTheExecution(t *testing.T) {
	server := scripted.Start(t)
	server.On("RunExecution", ran)
	execution := must[*promptledger.Execution](t)(
		connect(t, server).Run(t.Context(), "greet", promptledger.Vars{"name": "Ada", "n": 3, "tags": []any{"a", nil, true}}))
	if execution.ID != scripted.ID || execution.Status != promptledger.StatusSucceeded ||
		execution.Text != "Hello Ada." || execution.Err() != nil {
		t.Errorf("%+v", execution)
	}
	asked := server.Asked()[0]
	spec := asked.Request.(*pb.RunExecutionRequest).Spec
	if spec.PromptName != "greet" || spec.Variables.Fields["n"].GetNumberValue() != 3 || spec.IdempotencyKey != "" {
		t.Error(spec)
	}
	if !slices.Equal(asked.Headers["x-api-key"], []string{scripted.Key}) || asked.Headers["x-ledger-project"] != nil ||
		!strings.HasPrefix(asked.Headers["user-agent"][0], "prompt-ledger-go/"+promptledger.Version) {
		t.Error(asked.Headers)
	}
}

func TestTheDeadlineOfARunCoversItsAttemptsAndOtherCallsHaveThirtySeconds(t *testing.T) {
	server := scripted.Start(t)
	server.On("RunExecution", ran)
	server.On("GetExecution", found)
	ledger := connect(t, server)
	for _, options := range [][]promptledger.RunOption{
		nil,
		{promptledger.WithProviderTimeout(20 * time.Second), promptledger.WithMaxRetries(2)},
		{promptledger.WithCallTimeout(40 * time.Second)},
	} {
		must[*promptledger.Execution](t)(ledger.Run(t.Context(), "greet", nil, options...))
	}
	must[*promptledger.Execution](t)(ledger.Handle(scripted.ID).Get(t.Context()))
	// An earlier deadline of the caller's own stays.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must[*promptledger.Execution](t)(ledger.Handle(scripted.ID).Get(ctx))
	for i, seconds := range []time.Duration{130, 20*3 + 35 + 10, 40, 30, 20} {
		// What is left of it when the call arrives.
		got, limit := server.Asked()[i].Deadline, seconds*time.Second
		if got > limit || got <= limit-8*time.Second {
			t.Errorf("call %d: %v of %v", i, got, limit)
		}
	}
}

func TestAReadIsRepeatedWhileTheFailureMayPass(t *testing.T) {
	for _, each := range []struct {
		refusal scripted.Refusal
		times   int
	}{
		{scripted.Refuse(codes.Unavailable, "STORE_UNAVAILABLE", -1), 3},
		{scripted.Refuse(codes.Unavailable, "DRAINING", soon), 3},
		{scripted.Refuse(codes.Unavailable, "", -1), 3},
		{scripted.Refuse(codes.Internal, "", -1), 3},
		{scripted.Refuse(codes.Unknown, "", -1), 3},
		{scripted.Refuse(codes.Canceled, "", -1), 3},
		{scripted.Refuse(codes.ResourceExhausted, "OVERLOADED", soon), 3},
		{scripted.Refuse(codes.ResourceExhausted, "RATE_LIMITED", soon), 3},
		{scripted.Refuse(codes.ResourceExhausted, "TOO_LARGE", -1), 1},
		{scripted.Refuse(codes.Internal, "INTERNAL", -1), 1},
		{scripted.Refuse(codes.NotFound, "EXECUTION_NOT_FOUND", -1), 1},
		{scripted.Refuse(codes.Unauthenticated, "KEY_INVALID", -1), 1},
	} {
		t.Run(fmt.Sprint(each.refusal.Code, each.refusal.Reason), func(t *testing.T) {
			server := scripted.Start(t)
			server.On("GetExecution", one(each.refusal), one(each.refusal), found)
			execution, err := connect(t, server).Handle(scripted.ID).Get(t.Context())
			if each.times == 3 && (err != nil || execution.ID != scripted.ID) {
				t.Error(err)
			}
			if each.times == 1 {
				base := wantError[*promptledger.LedgerError](t, err)
				if base.Code != each.refusal.Code || base.Reason != each.refusal.Reason {
					t.Error(err)
				}
			}
			if times := len(server.Asked()); times != each.times {
				t.Error(times)
			}
		})
	}
}

func TestASubmitKeepsItsKeyOverItsRepeatsAndTheNextOneHasAnother(t *testing.T) {
	server := scripted.Start(t)
	server.On("SubmitExecution",
		one(scripted.Refuse(codes.Unavailable, "", -1)), one(scripted.Refuse(codes.Unavailable, "DRAINING", soon)), submitted)
	ledger := connect(t, server)
	handle := must[*promptledger.Handle](t)(ledger.Submit(t.Context(), "greet", nil))
	if handle.ID != scripted.ID || handle.Status != promptledger.StatusQueued || handle.Reused {
		t.Errorf("%+v", handle)
	}
	must[*promptledger.Handle](t)(ledger.Submit(t.Context(), "greet", nil))
	must[*promptledger.Handle](t)(ledger.Submit(t.Context(), "greet", nil, promptledger.WithIdempotencyKey("order-1")))
	var keys []string
	for _, request := range scripted.Requests[*pb.SubmitExecutionRequest](server, "SubmitExecution") {
		keys = append(keys, request.Spec.IdempotencyKey)
	}
	if len(keys) != 5 || keys[0] == "" || keys[0] != keys[1] || keys[0] != keys[2] || keys[0] == keys[3] || keys[4] != "order-1" {
		t.Error(keys)
	}
}

func TestARunWithoutAKeyIsRepeatedOnlyWhereNothingBegan(t *testing.T) {
	recorded := scripted.Refuse(codes.ResourceExhausted, "OVERLOADED", soon)
	recorded.Metadata = map[string]string{"execution_id": scripted.ID}
	for i, each := range []struct {
		refusal scripted.Refusal
		key     string
		times   int
	}{
		{scripted.Refuse(codes.Unavailable, "", -1), "", 1},
		{scripted.Refuse(codes.Unavailable, "STORE_UNAVAILABLE", soon), "", 1},
		{scripted.Refuse(codes.ResourceExhausted, "RATE_LIMITED", soon), "", 1},
		{recorded, "", 1},
		{scripted.Refuse(codes.ResourceExhausted, "OVERLOADED", soon), "", 2},
		{scripted.Refuse(codes.Unavailable, "DRAINING", soon), "", 2},
		{scripted.Refuse(codes.Unavailable, "", -1), "order-1", 2},
		{scripted.Refuse(codes.Unavailable, "STORE_UNAVAILABLE", soon), "order-1", 2},
	} {
		server := scripted.Start(t)
		server.On("RunExecution", one(each.refusal), ran)
		_, err := connect(t, server).Run(t.Context(), "greet", nil, promptledger.WithIdempotencyKey(each.key))
		if times := len(server.Asked()); (err == nil) != (each.times == 2) || times != each.times {
			t.Errorf("%d: %d times, %v", i, times, err)
		}
	}
}

// Nobody listens there.
const nobody = "http://127.0.0.1:1"

func TestWhatFindsNoConnectionIsRepeated(t *testing.T) {
	for name, each := range map[string]struct {
		logged string
		call   func(context.Context, *promptledger.Client) error
	}{
		"get": {"call is repeated", func(ctx context.Context, ledger *promptledger.Client) error {
			_, err := ledger.Prompts.Get(ctx, "greet")
			return err
		}},
		"run": {"call is repeated", func(ctx context.Context, ledger *promptledger.Client) error {
			_, err := ledger.Run(ctx, "greet", nil)
			return err
		}},
		// Nothing began, so even one without a key is tried again.
		"stream": {"stream broke", func(ctx context.Context, ledger *promptledger.Client) error {
			_, err := ledger.Stream(ctx, "greet", nil).Next(ctx)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			log := newSignals(each.logged)
			ledger := must[*promptledger.Client](t)(promptledger.Connect(
				promptledger.WithServer(nobody), promptledger.WithLogger(slog.New(log))))
			defer ledger.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			underWay := make(chan error, 1)
			go func() { underWay <- each.call(ctx, ledger) }()
			// Before the second attempt, and before the third.
			happens(t, log.logged)
			happens(t, log.logged)
			cancel()
			wantError[*promptledger.Cancelled](t, <-underWay)
		})
	}
}

func TestWhatFindsNoConnectionEndsAtItsDeadline(t *testing.T) {
	const limit = 400 * time.Millisecond
	ledger := must[*promptledger.Client](t)(promptledger.Connect(
		promptledger.WithServer(nobody), promptledger.WithTimeout(limit)))
	defer ledger.Close()
	_, getErr := ledger.Prompts.Get(t.Context(), "greet")
	_, runErr := ledger.Run(t.Context(), "greet", nil, promptledger.WithCallTimeout(limit))
	for _, err := range []error{getErr, runErr} {
		// The last attempt may find the deadline first.
		if _, late := errors.AsType[*promptledger.DeadlineExceeded](err); !late {
			wantError[*promptledger.Unavailable](t, err)
		}
	}
}

func TestACallThatIsNotAnsweredEndsAtItsDeadline(t *testing.T) {
	server := scripted.Start(t)
	server.On("GetPrompt", one(scripted.Hang{}))
	_, err := connect(t, server, promptledger.WithTimeout(200*time.Millisecond)).Prompts.Get(t.Context(), "greet")
	wantError[*promptledger.DeadlineExceeded](t, err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestTheKeyIsInNothingThatIsShown(t *testing.T) {
	server := scripted.Start(t)
	server.On("GetExecution",
		one(scripted.Refuse(codes.Unauthenticated, "KEY_INVALID", -1)), one(scripted.Refuse(codes.Unavailable, "", -1)), found)
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ledger := connect(t, server, promptledger.WithLogger(logger))
	handle := ledger.Handle(scripted.ID)
	_, err := handle.Get(t.Context())
	wantError[*promptledger.KeyInvalid](t, err)
	must[*promptledger.Execution](t)(handle.Get(t.Context()))
	for _, form := range []string{"%v", "%+v", "%#v"} {
		if shown := fmt.Sprintf(form+form+form, ledger, err, handle); strings.Contains(shown+log.String(), scripted.Key) {
			t.Error(shown, log)
		}
	}
	for _, line := range []string{`msg="call failed"`, `msg="call is repeated"`, `msg="call answered"`} {
		if !strings.Contains(log.String(), line+" method=GetExecution") {
			t.Error(log)
		}
	}
}

func TestAProjectHeadersInterceptorsAndTheRawStubs(t *testing.T) {
	server := scripted.Start(t)
	server.On("ListModels", one(&pb.ListModelsResponse{NextPageToken: "more"}))
	type key struct{}
	var seen []string
	interceptor := func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
		options ...grpc.CallOption,
	) error {
		seen = append(seen, method)
		return invoke(ctx, method, request, answer, conn, options...)
	}
	ledger := connect(t, server, promptledger.WithProject("shop"),
		promptledger.WithDialOptions(grpc.WithChainUnaryInterceptor(interceptor)),
		promptledger.WithHeaders(func(ctx context.Context) map[string]string {
			if trace, ok := ctx.Value(key{}).(string); ok {
				return map[string]string{"traceparent": trace, "x-api-key": "of-the-headers"}
			}
			return nil
		}))
	for _, ctx := range []context.Context{t.Context(), context.WithValue(t.Context(), key{}, "00-1")} {
		if answer := must[*pb.ListModelsResponse](t)(ledger.Raw.Registry.ListModels(ctx,
			&pb.ListModelsRequest{})); answer.NextPageToken != "more" {
			t.Error(answer)
		}
	}
	for i, trace := range [][]string{nil, {"00-1"}} {
		headers := server.Asked()[i].Headers
		if !slices.Equal(headers["x-api-key"], []string{scripted.Key}) ||
			!slices.Equal(headers["x-ledger-project"], []string{"shop"}) ||
			!slices.Equal(headers["traceparent"], trace) {
			t.Error(headers)
		}
	}
	if len(seen) != 2 || seen[0] != pb.RegistryService_ListModels_FullMethodName {
		t.Error(seen)
	}
}
