package promptledger

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

const (
	// Executions that are remembered: at least these, the most recent ones; at most twice as many.
	remembered = 10_000
	// Most sequences of one execution that are remembered beyond the gapless ones.
	mostApart = 64
)

// tailer reads the streams of all executions that match: what is known of them, over several streams. Pure.
type tailer struct {
	request *pb.WatchExecutionsRequest
	seen    seenExecutions
	// The server's time at the present stream's first message.
	began      *timestamppb.Timestamp
	heard      bool
	synced     bool
	toldSynced bool
}

func tailExecutions(request *pb.WatchExecutionsRequest) *tailer {
	return &tailer{request: request, seen: seenExecutions{most: remembered, now: map[string]*seenExecution{}}}
}

func (t *tailer) ask() proto.Message { return proto.CloneOf(t.request) }

func (t *tailer) begins() { t.began, t.heard, t.synced = nil, false, false }

func (t *tailer) resumes() bool { return true }

func (t *tailer) broke(failure, func(TailUpdate)) bool { return false }

func (t *tailer) take(event *pb.ExecutionEvent, tell func(TailUpdate)) taken {
	if !t.heard {
		t.heard, t.began = true, event.GetAt()
	}
	switch kind := event.GetKind().(type) {
	case *pb.ExecutionEvent_Snapshot:
		through := kind.Snapshot.GetThroughSequence()
		isNew := t.seen.through(event.GetExecutionId(), through)
		if !isNew || kind.Snapshot.GetExecution() == nil {
			return tookNothing
		}
		tell(Found{Sequence: through, Execution: readExecution(kind.Snapshot.GetExecution())})
	case *pb.ExecutionEvent_StateChanged:
		isNew := t.seen.one(event.GetExecutionId(), event.GetSequence())
		t.toldUntil(event.GetAt())
		if !isNew {
			return tookNothing
		}
		changed := Changed{StateChange: readStateChange(event)}
		if execution := kind.StateChanged.GetExecution(); execution != nil {
			changed.Execution = readExecution(execution)
		}
		tell(changed)
	case *pb.ExecutionEvent_Synced:
		t.synced = true
		// Changes during the first part of the stream may still follow.
		t.toldUntil(t.began)
		if t.toldSynced {
			return tookNothing
		}
		t.toldSynced = true
		tell(Synced{})
	case *pb.ExecutionEvent_Heartbeat:
		// It says nothing of what was sent before.
	default:
		return tookNothing
	}
	return tookNews
}

// toldUntil moves `since`, never backwards. A stream that has not synced has not told all, and moves nothing.
func (t *tailer) toldUntil(at *timestamppb.Timestamp) {
	since := t.request.Since
	if t.synced && at != nil && (since == nil || since.AsTime().Before(at.AsTime())) {
		t.request.Since = at
	}
}

// seenExecutions are the sequences that were read, of the most recent executions.
type seenExecutions struct {
	most        int
	now, before map[string]*seenExecution
}

// through records a snapshot of the execution after this sequence; it returns whether that is new.
func (s *seenExecutions) through(executionID string, sequence int64) bool {
	seen, isFirst := s.of(executionID)
	known := seen.knows(sequence)
	seen.through = max(seen.through, sequence)
	seen.settle()
	return isFirst || !known
}

// one records a change; it returns whether that is new.
func (s *seenExecutions) one(executionID string, sequence int64) bool {
	seen, _ := s.of(executionID)
	if seen.knows(sequence) {
		return false
	}
	at, _ := slices.BinarySearch(seen.apart, sequence)
	seen.apart = slices.Insert(seen.apart, at, sequence)
	seen.settle()
	return true
}

// of returns what is known of an execution, and whether it is unknown so far.
func (s *seenExecutions) of(executionID string) (*seenExecution, bool) {
	if seen, ok := s.now[executionID]; ok {
		return seen, false
	}
	if len(s.now) >= s.most {
		s.now, s.before = map[string]*seenExecution{}, s.now
	}
	seen, ok := s.before[executionID]
	if ok {
		delete(s.before, executionID)
	} else {
		seen = &seenExecution{}
	}
	s.now[executionID] = seen
	return seen, !ok
}

// seenExecution has the sequences of one execution that were read: all up to through, and those apart, ascending.
type seenExecution struct {
	through int64
	apart   []int64
}

func (s *seenExecution) knows(sequence int64) bool {
	return sequence <= s.through || slices.Contains(s.apart, sequence)
}

// settle bounds the memory: it merges what follows without a gap, and beyond mostApart the lowest ones.
func (s *seenExecution) settle() {
	for len(s.apart) > 0 && (s.apart[0] <= s.through+1 || len(s.apart) > mostApart) {
		s.through = max(s.through, s.apart[0])
		s.apart = s.apart[1:]
	}
}
