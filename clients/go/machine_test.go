package promptledger

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// sequenceReader answers by the event's sequence, which it also tells.
type sequenceReader struct{ once bool }

func (r sequenceReader) ask() proto.Message              { return nil }
func (r sequenceReader) begins()                         {}
func (r sequenceReader) resumes() bool                   { return !r.once }
func (r sequenceReader) broke(failure, func(int64)) bool { return false }

func (r sequenceReader) take(event *pb.ExecutionEvent, tell func(int64)) taken {
	tell(event.Sequence)
	return taken(event.Sequence)
}

type sequenceMachine = machine[*pb.ExecutionEvent, int64]

func newSequenceMachine(once bool) *sequenceMachine {
	return &sequenceMachine{reader: sequenceReader{once}, window: retryWindow{limit: time.Minute}}
}

func of(effect taken) *pb.ExecutionEvent { return scripted.Running(int64(effect)) }

func TestEachEventSaysWhatToDoNext(t *testing.T) {
	m := newSequenceMachine(false)
	m.opened()
	for _, effect := range []taken{tookNothing, tookNews} {
		if step, err := m.took(of(effect), at(0)); step != (next{}) || err != nil {
			t.Error(effect, step, err)
		}
	}
	if step, err := m.took(of(tookGap), at(0)); err != nil || step.delay == nil || *step.delay != firstDelay {
		t.Error(step, err)
	}
	if step, err := m.took(of(tookLast), at(0)); !step.over || err != nil {
		t.Error(step, err)
	}
	_, err := m.took(of(tookUnreadable), at(0))
	if _, unreadable := errors.AsType[*Unreadable](err); !unreadable {
		t.Error(err)
	}
	var told []int64
	for update, ok := m.pop(); ok; update, ok = m.pop() {
		told = append(told, update)
	}
	if !slices.Equal(told, []int64{0, 1, 3, 2, 4}) {
		t.Error(told)
	}
}

func TestNewsRenewThePatienceAndASnapshotAloneDoesNot(t *testing.T) {
	m := newSequenceMachine(false)
	for _, second := range []float64{0, 30} {
		m.opened()
		mustGoOn(t)(m.took(of(tookNothing), at(second)))
		mustGoOn(t)(m.failed(brokenBy(brokenCut), at(second)))
	}
	mustGoOn(t)(m.took(of(tookNews), at(50)))
	mustGoOn(t)(m.failed(brokenBy(brokenCut), at(61)))
	mustGoOn(t)(m.took(of(tookNothing), at(62)))
	mustGiveUp(t)(m.failed(brokenBy(brokenCut), at(121)))
}

func TestStreamsThatReachTheirAgeWithNothingToTellAreNoFailures(t *testing.T) {
	m, aged := newSequenceMachine(false), refused(codes.Unavailable, "DRAINING", time.Second)
	for second := range 1000 {
		m.opened()
		mustGoOn(t)(m.took(of(tookNothing), at(float64(second))))
		mustGoOn(t)(m.failed(aged, at(float64(second))))
	}
	// But one that has not begun is.
	mustGoOn(t)(m.failed(aged, at(1000)))
	mustGiveUp(t)(m.failed(aged, at(1060)))
}

func TestWhatCannotBeResumedEndsAtTheFirstFailureOnceItHasBegun(t *testing.T) {
	m, draining := newSequenceMachine(true), refused(codes.Unavailable, "DRAINING", time.Second)
	m.opened()
	mustGoOn(t)(m.failed(draining, at(0)))
	m.opened()
	mustGoOn(t)(m.failed(refused(codes.ResourceExhausted, "OVERLOADED"), at(0)))
	m.opened()
	mustGoOn(t)(m.took(of(tookNews), at(0)))
	_, err := m.failed(draining, at(0))
	if _, broke := errors.AsType[*NotResumable](err); !broke {
		t.Error(err)
	}
}

func mustGoOn(t *testing.T) func(next, error) {
	return func(step next, err error) {
		t.Helper()
		if err != nil || step.over {
			t.Fatal(step, err)
		}
	}
}

func mustGiveUp(t *testing.T) func(next, error) {
	return func(_ next, err error) {
		t.Helper()
		if _, gaveUp := errors.AsType[*GaveUp](err); !gaveUp {
			t.Fatal(err)
		}
	}
}
