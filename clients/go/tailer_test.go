package promptledger

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func newSeen(most int) *seenExecutions {
	return &seenExecutions{most: most, now: map[string]*seenExecution{}}
}

func TestWhatWasSeenIsDroppedAlsoOutOfOrder(t *testing.T) {
	seen := newSeen(10)
	if !seen.through("a", 3) || seen.through("a", 3) {
		t.Error("a snapshot is told once")
	}
	for _, each := range []struct {
		sequence int64
		isNew    bool
	}{{3, false}, {5, true}, {4, true}, {5, false}, {6, true}} {
		if isNew := seen.one("a", each.sequence); isNew != each.isNew {
			t.Errorf("%d: %v", each.sequence, isNew)
		}
	}
	if seen.through("a", 5) {
		t.Error("all up to 6 was told")
	}
	if !seen.through("b", 0) {
		t.Error("an execution that is not known is told")
	}
}

func TestTheMemoryOfATailIsBounded(t *testing.T) {
	seen := newSeen(2)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		seen.one(name, 1)
	}
	if len(seen.now)+len(seen.before) > 4 {
		t.Error(len(seen.now), len(seen.before))
	}
	if seen.one("e", 1) || seen.one("d", 1) {
		t.Error("the last ones are remembered")
	}
	for sequence := int64(2); sequence < 1000; sequence += 2 {
		seen.one("far", sequence)
	}
	if apart := len(seen.now["far"].apart); apart > mostApart {
		t.Error(apart)
	}
}

func TestSinceMovesOnlyOnAStreamThatIsSyncedAndNeverBack(t *testing.T) {
	change := func(second, sequence int64) *pb.ExecutionEvent {
		event := scripted.Running(sequence)
		event.At = &timestamppb.Timestamp{Seconds: second}
		return event
	}
	synced := func(second int64) *pb.ExecutionEvent {
		kind := &pb.ExecutionEvent_Synced{Synced: &pb.ExecutionsSynced{}}
		return &pb.ExecutionEvent{At: &timestamppb.Timestamp{Seconds: second}, Kind: kind}
	}
	tail := tailExecutions(&pb.WatchExecutionsRequest{PromptName: "greet"})
	steps := []struct {
		begins bool
		event  *pb.ExecutionEvent
		since  int64
	}{
		{true, change(10, 1), 0},
		{false, synced(30), 10},
		{false, change(20, 2), 20},
		{false, change(15, 3), 20},
		{true, change(40, 4), 20},
		{false, synced(50), 40},
	}
	var told []TailUpdate
	for i, step := range steps {
		if step.begins {
			tail.begins()
		}
		tail.take(step.event, func(update TailUpdate) { told = append(told, update) })
		if since := tail.ask().(*pb.WatchExecutionsRequest).Since.GetSeconds(); since != step.since {
			t.Errorf("step %d: %d", i, since)
		}
	}
	if len(told) != 5 {
		t.Error("synced is told once:", told)
	}
}
