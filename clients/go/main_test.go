package promptledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	"github.com/prompt-ledger/prompt-ledger/clients/go/ledgertest"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// started is the real server that all tests share, once one has needed it.
var started *ledgertest.DevServer

var dev = sync.OnceValues(func() (server *ledgertest.DevServer, err error) {
	started, err = ledgertest.Start()
	return started, err
})

func TestMain(m *testing.M) {
	// Nothing of this machine's settings is used.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "LEDGER_") {
			_ = os.Unsetenv(name)
		}
	}
	code := m.Run()
	if started != nil {
		if err := started.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// connectDev returns a client of the real server, and a name for the test's own prompts.
func connectDev(t *testing.T) (ledger *promptledger.Client, own string) {
	t.Helper()
	server, err := dev()
	if err != nil {
		t.Fatal(err)
	}
	return server.Connect(t), fmt.Sprint(t.Name(), ".", runs.Add(1))
}

// runs numbers the tests' own prompts, so that a test may run twice.
var runs atomic.Int64

// connect returns a client of a scripted server.
func connect(t *testing.T, server *scripted.Server, options ...promptledger.Option) *promptledger.Client {
	t.Helper()
	own := []promptledger.Option{promptledger.WithServer(server.Address), promptledger.WithAPIKey(scripted.Key)}
	ledger, err := promptledger.Connect(append(own, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	return ledger
}

// must fails the test where there is an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// all returns what is yielded.
func all[T any](t *testing.T, items iter.Seq2[T, error]) []T {
	t.Helper()
	var found []T
	for item, err := range items {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, item)
	}
	return found
}

// wantError fails the test where an error is not of that type.
func wantError[E error](t *testing.T, err error) E {
	t.Helper()
	found, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	return found
}

// inTime bounds what a test waits for.
func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// happens waits for a signal.
func happens(t *testing.T, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-inTime(t).Done():
		t.Fatal("it did not happen")
	}
}

// told names updates to the end: 1 is a state change, "text" a text.
func told(t *testing.T, updates *promptledger.Updates) string {
	t.Helper()
	var names []string
	for {
		update, err := updates.Next(inTime(t))
		if errors.Is(err, io.EOF) {
			return strings.Join(names, " | ")
		}
		if err != nil {
			t.Fatalf("%v after %v", err, names)
		}
		switch update := update.(type) {
		case promptledger.Text:
			names = append(names, update.Text)
		case promptledger.StateChange:
			names = append(names, fmt.Sprint(update.Sequence))
		case promptledger.Restarted:
			names = append(names, fmt.Sprint("restarted ", update.Attempt))
		case promptledger.Joined:
			names = append(names, "joined")
		case promptledger.Ended:
			names = append(names, "ended "+string(update.Execution.Status))
		}
	}
}

// one is the answer of a call that answers once.
func one(message any) scripted.Answer { return scripted.Answer{message} }

var (
	ran       = one(&pb.RunExecutionResponse{Execution: scripted.Execution("Hello Ada.")})
	found     = one(&pb.GetExecutionResponse{Execution: scripted.Execution("Hello Ada.")})
	submitted = one(&pb.SubmitExecutionResponse{ExecutionId: scripted.ID, Status: pb.ExecutionStatus_EXECUTION_STATUS_QUEUED})
)
