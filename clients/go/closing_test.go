package promptledger_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
)

func TestAClosedClientSaysSo(t *testing.T) {
	server := scripted.Start(t)
	arrived := make(chan struct{})
	server.On("GetExecution", scripted.Answer{func() { close(arrived) }, scripted.Hang{}})
	ledger := connect(t, server)
	underWay := make(chan error)
	go func() {
		_, err := ledger.Handle(scripted.ID).Get(t.Context())
		underWay <- err
	}()
	happens(t, arrived)
	if err := ledger.Close(); err != nil {
		t.Error(err)
	}
	wantError[*promptledger.ClientClosed](t, <-underWay)
	_, err := ledger.Handle(scripted.ID).Get(t.Context())
	wantError[*promptledger.ClientClosed](t, err)
	_, err = ledger.PromptCache(t.Context())
	wantError[*promptledger.ClientClosed](t, err)
}

func TestAContextThatIsCanceledEndsItsCall(t *testing.T) {
	server := scripted.Start(t)
	arrived := make(chan struct{})
	server.On("GetExecution", scripted.Answer{func() { close(arrived) }, scripted.Hang{}})
	ctx, cancel := context.WithCancel(t.Context())
	underWay := make(chan error)
	ledger := connect(t, server)
	go func() {
		_, err := ledger.Handle(scripted.ID).Get(ctx)
		underWay <- err
	}()
	happens(t, arrived)
	cancel()
	err := <-underWay
	wantError[*promptledger.Cancelled](t, err)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	happens(t, server.HungUp)
}

func TestACallThatWaitsForItsRepeatEndsWithItsContextAndItsClient(t *testing.T) {
	server := scripted.Start(t)
	log := newSignals("call is repeated")
	server.On("GetExecution", one(scripted.Refuse(codes.Unavailable, "DRAINING", 20*time.Second)))
	ledger := connect(t, server, promptledger.WithLogger(slog.New(log)))
	ctx, cancel := context.WithCancel(t.Context())
	underWay := make(chan error)
	get := func(ctx context.Context) {
		_, err := ledger.Handle(scripted.ID).Get(ctx)
		underWay <- err
	}
	go get(ctx)
	happens(t, log.logged)
	cancel()
	wantError[*promptledger.Cancelled](t, <-underWay)
	go get(t.Context())
	happens(t, log.logged)
	if err := ledger.Close(); err != nil {
		t.Error(err)
	}
	wantError[*promptledger.ClientClosed](t, <-underWay)
}

// signals tells when something is logged.
type signals struct {
	slog.Handler
	message string
	logged  chan struct{}
}

func newSignals(message string) *signals {
	return &signals{message: message, logged: make(chan struct{}, 100)}
}

func (s *signals) Enabled(context.Context, slog.Level) bool { return true }

func (s *signals) Handle(_ context.Context, record slog.Record) error {
	if record.Message == s.message {
		s.logged <- struct{}{}
	}
	return nil
}

func TestNothingRunsOnBehindAClosedClient(t *testing.T) {
	server := scripted.Start(t)
	server.On("GetExecution", one(scripted.Hang{}))
	server.On("WatchExecution", scripted.Watched(scripted.Running(1)).And(scripted.Hang{}))
	server.On("StreamExecution", scripted.Watched(scripted.Running(1)).And(scripted.Hang{}))
	server.On("WatchExecutions", one(scripted.Refuse(codes.Unavailable, "DRAINING", time.Hour)))
	server.On("WatchPrompts", everything().And(scripted.Hang{}))
	for range 3 {
		ledger := connect(t, server)
		cache := openCache(t, ledger, promptledger.WithFile(filepath.Join(t.TempDir(), "kept")))
		cache.OnChange(func(string) {})
		read := func(next func(context.Context) error) chan struct{} {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for next(context.WithoutCancel(t.Context())) == nil {
				}
			}()
			return ended
		}
		watch, tail := ledger.Watch(t.Context(), scripted.ID), ledger.Tail(t.Context(), promptledger.TailFilter{})
		ends := []chan struct{}{
			read(func(ctx context.Context) error { _, err := watch.Next(ctx); return err }),
			read(func(ctx context.Context) error { _, err := tail.Next(ctx); return err }),
			read(func(ctx context.Context) error { _, err := ledger.Handle(scripted.ID).Get(ctx); return err }),
		}
		// One that nobody reads.
		must[promptledger.Update](t)(ledger.Stream(t.Context(), "greet", nil).Next(inTime(t)))
		for range 2 {
			if err := ledger.Close(); err != nil {
				t.Error("it may be closed again:", err)
			}
		}
		for _, end := range ends {
			happens(t, end)
		}
		if _, err := ledger.Raw.Registry.ListModels(inTime(t), nil); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	}
	for ctx := inTime(t); ; runtime.Gosched() {
		var running strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&running, 1); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(running.String(), "prompt-ledger/clients/go.") {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(running.String())
		}
	}
}
