package promptledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func TestABufferIsBoundedByItsMessagesAndItsBytes(t *testing.T) {
	fills := func(message *pb.ExecutionEvent, most int) int {
		var b buffer[*pb.ExecutionEvent]
		count := 0
		for b.put(message) && count <= most {
			count++
		}
		if _, ok := b.take(); !ok || count > 1 && !b.put(message) {
			t.Error("what was taken makes room")
		}
		return count
	}
	for _, each := range []struct {
		bytes, expected int
	}{
		{10, mostMessages},
		{mostBytes / 4, 3},
		{mostBytes/4 - 100, 4},
		// A single one that is larger has room where it is alone.
		{2 * mostBytes, 1},
	} {
		if count := fills(scripted.Text(1, 0, strings.Repeat("x", each.bytes)), mostMessages); count != each.expected {
			t.Errorf("%d bytes: %d messages", each.bytes, count)
		}
	}
	var empty buffer[*pb.ExecutionEvent]
	if _, ok := empty.take(); ok || empty.bytes != 0 {
		t.Error(empty)
	}
}

func TestWhatCameInTimeIsNoSilence(t *testing.T) {
	fired := make(chan time.Time, 1)
	wait := func(stream *serverStream[*pb.ExecutionEvent]) (*pb.ExecutionEvent, *failure) {
		fired <- time.Now()
		message, end, late := stream.wait(t.Context(), context.Background(), fired)
		if late {
			t.Error("it is not late")
		}
		return message, end
	}
	opened := func() *serverStream[*pb.ExecutionEvent] {
		return &serverStream[*pb.ExecutionEvent]{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
	}
	// It is in the buffer before it is signalled.
	told := opened()
	told.buffer.put(scripted.Running(1))
	if message, end := wait(told); message.GetSequence() != 1 || end != nil {
		t.Error(message, end)
	}
	over := opened()
	over.end = new(brokenBy(brokenCut))
	if message, end := wait(over); message != nil || end == nil || end.broken != brokenCut {
		t.Error(message, end)
	}
	if message, end := wait(opened()); message != nil || end == nil || end.broken != brokenSilent {
		t.Error(message, end)
	}
}

func TestSilenceIsThatOfAllWaits(t *testing.T) {
	ctx := t.Context()
	nothing := func(ctx context.Context, _ *Raw, _ proto.Message, _ ...grpc.CallOption) (receive[*pb.ExecutionEvent], error) {
		return func() (*pb.ExecutionEvent, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, nil
	}
	stream := openStream(ctx, nil, nothing, nil, true)
	defer stream.cancel()
	// Each wait is far shorter than the silence, in which a stall would end one of them.
	for until := time.Now().Add(30 * time.Second); ; {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		_, end, _ := stream.get(short, ctx, 300*time.Millisecond)
		cancel()
		if end != nil {
			if end.broken != brokenSilent {
				t.Error(end)
			}
			break
		}
		if time.Now().After(until) {
			t.Fatal("a silent stream was not left")
		}
	}
	// What is read ends the silence before it.
	stream.heard = time.Now().Add(-time.Hour)
	stream.put(ctx, scripted.Running(1))
	if message, end, late := stream.get(ctx, ctx, time.Hour); message.GetSequence() != 1 || end != nil || late || stream.waited != 0 {
		t.Error(message, end, late, stream.waited)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, end, late := stream.get(short, ctx, time.Hour); end != nil || !late {
		t.Error(end, late)
	}
}

func TestAStreamIsListenedToBeforeItIsSilent(t *testing.T) {
	stream := &serverStream[*pb.ExecutionEvent]{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
	// Its reader was busy for an hour.
	stream.heard = time.Now().Add(-time.Hour)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if message, end, late := stream.get(over, t.Context(), 45*time.Second); message != nil || end != nil || !late {
		t.Error(message, end, late)
	}
	stream.waited = 0
	for silence, least := range map[time.Duration]time.Duration{45 * time.Second: leastWait, 10 * time.Millisecond: 10 * time.Millisecond} {
		if within := stream.silentIn(silence); within != least {
			t.Error(silence, within)
		}
	}
	if !stream.listened(leastWait, leastWait) || stream.silentIn(45*time.Second) != 0 {
		t.Error(stream.waited)
	}
	// The process was stopped while it waited.
	if stream.listened(time.Minute, 45*time.Second) || stream.silentIn(45*time.Second) != leastWait {
		t.Error(stream.waited)
	}
}
