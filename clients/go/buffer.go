package promptledger

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

const (
	mostMessages = 1024
	mostBytes    = 8 * 1024 * 1024
	// How long to wait at least before a stream counts as silent.
	leastWait = time.Second
)

// buffer has messages in order, bounded by their number and their bytes; a single one that is larger has room where it is alone.
type buffer[M proto.Message] struct {
	messages []sized[M]
	bytes    int
}

type sized[M proto.Message] struct {
	message M
	bytes   int
}

// put returns false where there is no room.
func (b *buffer[M]) put(message M) bool {
	size := proto.Size(message)
	if len(b.messages) > 0 && (len(b.messages) >= mostMessages || b.bytes+size > mostBytes) {
		return false
	}
	b.messages = append(b.messages, sized[M]{message, size})
	b.bytes += size
	return true
}

// take returns false where there is nothing.
func (b *buffer[M]) take() (M, bool) {
	if len(b.messages) == 0 {
		var none M
		return none, false
	}
	first := b.messages[0]
	b.messages[0] = sized[M]{}
	b.messages = b.messages[1:]
	if len(b.messages) == 0 {
		b.messages = nil
	}
	b.bytes -= first.bytes
	return first.message, true
}

// serverStream is one stream, read ahead into a bounded buffer by a goroutine of its own.
type serverStream[M proto.Message] struct {
	// Hangs up.
	cancel context.CancelFunc
	// Breaks when the buffer is full; otherwise its server waits.
	overflows bool

	mu     sync.Mutex
	buffer buffer[M]
	// How it ended, once it has.
	end *failure
	// Each has room for one signal: there is something to read, or room to write.
	filled, emptied chan struct{}
	// When it was opened, or the last message was read. Of its reader alone.
	heard time.Time
	// How long its reader has waited for something to come since then. Of its reader alone.
	waited time.Duration
}

// openStream opens a stream in the background.
func openStream[M proto.Message](
	ctx context.Context, raw *Raw, open opening[M], request proto.Message, overflows bool,
) *serverStream[M] {
	ctx, cancel := context.WithCancel(ctx)
	stream := &serverStream[M]{
		cancel:    cancel,
		overflows: overflows,
		filled:    make(chan struct{}, 1),
		emptied:   make(chan struct{}, 1),
		heard:     time.Now(),
	}
	go stream.receive(ctx, raw, open, request)
	return stream
}

func (s *serverStream[M]) receive(ctx context.Context, raw *Raw, open opening[M], request proto.Message) {
	defer s.cancel()
	var server peer.Peer
	next, err := open(ctx, raw, request, grpc.Peer(&server))
	if err != nil {
		s.ended(failedBy(failedCall(err, request, server.Addr != nil)))
		return
	}
	for {
		message, err := next()
		if errors.Is(err, io.EOF) {
			s.ended(brokenBy(brokenCut))
			return
		}
		if err != nil {
			s.ended(failedBy(fromRPC(err, true)))
			return
		}
		if !s.put(ctx, message) {
			s.ended(brokenBy(brokenOverflow))
			return
		}
	}
}

func (s *serverStream[M]) put(ctx context.Context, message M) bool {
	for {
		s.mu.Lock()
		ok := s.buffer.put(message)
		s.mu.Unlock()
		if ok {
			signal(s.filled)
			return true
		}
		if s.overflows {
			return false
		}
		select {
		case <-s.emptied:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *serverStream[M]) ended(how failure) {
	s.mu.Lock()
	s.end = &how
	s.mu.Unlock()
	signal(s.filled)
}

// take returns the next message, or how the stream ended; neither where there is nothing yet.
func (s *serverStream[M]) take() (message M, end *failure, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if message, ok = s.buffer.take(); ok {
		signal(s.emptied)
		return message, nil, true
	}
	return message, s.end, s.end != nil
}

// silentIn returns for how long to wait until the stream is silent. Where its reader was busy for the time of silence, what has come
// meanwhile is read first.
func (s *serverStream[M]) silentIn(silence time.Duration) time.Duration {
	return max(silence-time.Since(s.heard), min(silence, leastWait)-s.waited, 0)
}

// listened notes how long was waited. It returns false where that took so much longer than planned that the process was stopped
// meanwhile: then it is waited anew.
func (s *serverStream[M]) listened(took, planned time.Duration) bool {
	if took > planned+leastWait {
		s.waited = 0
		return false
	}
	s.waited += took
	return true
}

// get waits for the next message, or for the end; silence is how long that may take after the one before, in however many calls.
// It is late where ctx ends before; the end of life is as if the stream had been hung up.
func (s *serverStream[M]) get(ctx, life context.Context, silence time.Duration) (message M, end *failure, late bool) {
	message, end, ok := s.take()
	for !ok {
		began, planned := time.Now(), s.silentIn(silence)
		timer := time.NewTimer(planned)
		message, end, late = s.wait(ctx, life, timer.C)
		timer.Stop()
		ok = s.listened(time.Since(began), planned) || end == nil || end.broken != brokenSilent
	}
	if end == nil && !late {
		s.heard, s.waited = time.Now(), 0
	}
	return message, end, late
}

func (s *serverStream[M]) wait(ctx, life context.Context, silent <-chan time.Time) (message M, end *failure, late bool) {
	for {
		select {
		case <-s.filled:
			if message, end, ok := s.take(); ok {
				return message, end, false
			}
		case <-silent:
			// Where both are there, select takes either.
			if message, end, ok := s.take(); ok {
				return message, end, false
			}
			return message, new(brokenBy(brokenSilent)), false
		case <-life.Done():
			return message, new(brokenBy(brokenCut)), false
		case <-ctx.Done():
			return message, nil, true
		}
	}
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
