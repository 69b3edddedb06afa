package promptledger

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// transport makes calls over one connection, each step as retry.go decides.
type transport struct {
	*settings
	conn *grpc.ClientConn
	raw  *Raw
	// Ends with the client.
	life context.Context
	end  context.CancelFunc
}

func newTransport(s *settings) (*transport, error) {
	conn, err := connect(s)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	return &transport{settings: s, conn: conn, raw: rawStubs(conn), life: life, end: end}, nil
}

// close may be called again.
func (t *transport) close() error {
	if t.isClosed() {
		return nil
	}
	t.end()
	return t.conn.Close()
}

func (t *transport) isClosed() bool { return t.life.Err() != nil }

// policy says how a call that answers once is repeated.
type policy struct {
	// It may be done twice. Else it is repeated only where the server has not begun with it.
	freely bool
	// For all attempts together. 0: the client's timeout.
	limit time.Duration
}

var freely = policy{freely: true}

// method is one of the generated stubs.
type method[Q proto.Message, A any] func(context.Context, Q, ...grpc.CallOption) (*A, error)

// call makes a call, and again where that is of use, until its limit. name is for the log.
func call[Q proto.Message, A any](
	ctx context.Context, t *transport, name string, invoke method[Q, A], request Q, p policy,
) (*A, error) {
	began := time.Now()
	limit := p.limit
	if limit == 0 {
		limit = t.timeout
	}
	// Where the caller's own deadline is earlier, it stays.
	limited, cancel := context.WithDeadline(ctx, began.Add(limit))
	defer cancel()
	ends, _ := limited.Deadline()
	tries := attempts{ends: ends, freely: p.freely, window: retryWindow{limit: limit}}
	for {
		if t.isClosed() {
			return nil, clientClosed()
		}
		var server peer.Peer
		answer, err := invoke(limited, request, grpc.Peer(&server))
		if err == nil {
			if t.logger.Enabled(ctx, slog.LevelDebug) {
				t.logger.DebugContext(ctx, "call answered", "method", name, "after", time.Since(began))
			}
			return answer, nil
		}
		failed := failedBy(failedCall(err, request, server.Addr != nil))
		if err := t.ended(ctx); err != nil {
			return nil, err
		}
		delay, again := tries.delay(failed, t.moment())
		if !again {
			t.logger.DebugContext(ctx, "call failed", "method", name, "error", failed.err, "after", time.Since(began))
			return nil, failed.err
		}
		t.logger.InfoContext(ctx, "call is repeated", "method", name, "error", failed.err, "delay", delay)
		if err := t.sleep(ctx, delay); err != nil {
			return nil, err
		}
	}
}

// failedCall returns the error of a call. gRPC tells a request that cannot be encoded, such as one with a text that is no UTF-8, as
// it tells a connection that broke.
func failedCall(err error, request proto.Message, hadConnection bool) error {
	failed := fromRPC(err, hadConnection)
	if base := ledgerError(failed); base.Code == codes.Internal && base.Reason == "" {
		if _, err := proto.Marshal(request); err != nil {
			return invalidField("request", "%v", err)
		}
	}
	return failed
}

// ended returns the error where the client or the caller has ended a call.
func (t *transport) ended(ctx context.Context) error {
	if t.isClosed() {
		return clientClosed()
	}
	if ctx.Err() != nil {
		return contextEnded(ctx)
	}
	return nil
}

func (t *transport) sleep(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.life.Done():
		return clientClosed()
	case <-ctx.Done():
		return contextEnded(ctx)
	}
}

func (t *transport) moment() moment { return moment{now: time.Now(), chance: rand.Float64()} }

// pages yields the items of all pages, each page read when it is reached.
func pages[T any](read func(token string) (items []T, nextToken string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		token := ""
		for {
			items, nextToken, err := read(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if nextToken == "" {
				return
			}
			if nextToken == token {
				var none T
				yield(none, noProgress("the server answers the same page again and again"))
				return
			}
			token = nextToken
		}
	}
}

// onlyError yields an error alone.
func onlyError[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

// receive reads the next message of a stream.
type receive[M proto.Message] func() (M, error)

// opening opens a stream, that which the request is for.
type opening[M proto.Message] func(
	ctx context.Context, raw *Raw, request proto.Message, options ...grpc.CallOption,
) (receive[M], error)

var errNoStream = errors.New("the request is for no stream")
