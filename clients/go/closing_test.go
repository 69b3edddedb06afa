package promptledger_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

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
