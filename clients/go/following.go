package promptledger

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// following does the I/O of a watch: it opens streams, reads them and waits, as its machine decides. One goroutine reads at a
// time; any may close it.
type following[M proto.Message, U any] struct {
	transport *transport
	open      opening[M]
	machine   machine[M, U]
	// That of who began it, and that of all its streams, which also ends when it is closed.
	caller, life context.Context
	hangUp       context.CancelFunc

	// Held by who reads.
	mu     sync.Mutex
	stream *serverStream[M]
	// When the next stream may be opened.
	opensAt time.Time
	// What every further read returns: io.EOF after the end. Absent: it is not over.
	over error
}

func follow[M proto.Message, U any](
	ctx context.Context, t *transport, open opening[M], r reader[M, U], patience time.Duration,
) *following[M, U] {
	life, hangUp := context.WithCancel(ctx)
	f := &following[M, U]{
		transport: t,
		open:      open,
		machine:   machine[M, U]{reader: r, window: retryWindow{limit: patience}},
		caller:    ctx,
		life:      life,
		hangUp:    hangUp,
	}
	// Of a watch that nobody holds any more, the stream does not stay open.
	runtime.AddCleanup(f, func(hangUp context.CancelFunc) { hangUp() }, hangUp)
	return f
}

// failedToStart returns one that has nothing but an error.
func failedToStart[M proto.Message, U any](err error) *following[M, U] {
	return &following[M, U]{over: err, hangUp: func() {}}
}

// next returns the next update, io.EOF at the end, or the error that ended it. Where ctx ends before, that is the error, and
// next can be called again.
func (f *following[M, U]) next(ctx context.Context) (U, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if update, ok := f.machine.pop(); ok {
			return update, nil
		}
		var none U
		if f.over != nil {
			return none, f.over
		}
		late, err := f.step(ctx)
		if late {
			return none, contextEnded(ctx)
		}
		if err != nil {
			f.over = err
			if !errors.Is(err, io.EOF) {
				// Nothing follows an error.
				f.machine.updates = nil
			}
			f.drop()
			f.hangUp()
		}
	}
}

// close hangs up. What has arrived can still be read.
func (f *following[M, U]) close() { f.hangUp() }

// step opens a stream, where there is none, and reads one message. It is late where ctx has ended before.
func (f *following[M, U]) step(ctx context.Context) (late bool, err error) {
	if f.stream == nil {
		if late, err := f.waitToOpen(ctx); late || err != nil {
			return late, err
		}
		reader := f.machine.reader
		f.stream = openStream(f.life, f.transport.raw, f.open, reader.ask(), reader.resumes())
		f.machine.opened()
	}
	message, end, late := f.stream.get(ctx, f.life, f.transport.silence)
	if err := f.ended(); err != nil || late {
		return late, err
	}
	var step next
	now := f.transport.moment()
	if end != nil {
		step, err = f.machine.failed(*end, now)
	} else {
		step, err = f.machine.took(message, now)
	}
	switch {
	case err != nil:
		return false, err
	case step.over:
		return false, io.EOF
	case step.delay != nil:
		f.transport.logger.InfoContext(f.caller, "stream broke", "delay", *step.delay)
		f.opensAt = now.now.Add(*step.delay)
		f.drop()
	}
	return false, nil
}

func (f *following[M, U]) waitToOpen(ctx context.Context) (late bool, err error) {
	if wait := time.Until(f.opensAt); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-f.life.Done():
		case <-f.transport.life.Done():
		case <-ctx.Done():
			late = true
		}
	}
	return late, f.ended()
}

// ended returns why nothing more is read: the client or this was closed, or the context of who began it has ended.
func (f *following[M, U]) ended() error {
	if err := f.transport.ended(f.caller); err != nil {
		return err
	}
	if f.life.Err() != nil {
		return io.EOF
	}
	return nil
}

func (f *following[M, U]) drop() {
	if f.stream != nil {
		f.stream.cancel()
		f.stream = nil
	}
}
