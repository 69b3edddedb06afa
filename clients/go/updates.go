package promptledger

import (
	"time"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Update is what happens to one execution: [Joined], [StateChange], [Restarted], [Text] or [Ended].
type Update interface{ isUpdate() }

// Joined says that the idempotency key found an execution that exists: the updates are those of that one.
type Joined struct{ ExecutionID string }

// StateChange is a change of the execution's status.
type StateChange struct {
	ExecutionID string
	// Sequence numbers the execution's changes from 1, without gaps.
	Sequence int64
	At       time.Time
	// From is empty in the first change.
	From Status
	To   Status
	// Attempt is the attempt that the change belongs to; 0 before the first.
	Attempt int
	// ErrorType says in a word why the attempt failed, such as "rate_limited". Empty: nothing failed.
	ErrorType string
	// NextAttemptAt is when the next attempt is due. Zero: none is.
	NextAttemptAt time.Time
	// PromptName is told in tails only.
	PromptName string
}

// Restarted says that another attempt writes: drop the text that you have.
type Restarted struct{ Attempt int }

// Text is more text, to be appended. Before [Ended] all of the response's text has come, also where it was not streamed.
type Text struct {
	Attempt int
	// Offset is where it begins, in UTF-8 bytes of the attempt's text.
	Offset int
	// Text is never empty.
	Text string
}

// Ended is the last update: the execution after its end.
type Ended struct{ Execution *Execution }

func (Joined) isUpdate()      {}
func (StateChange) isUpdate() {}
func (Restarted) isUpdate()   {}
func (Text) isUpdate()        {}
func (Ended) isUpdate()       {}

// TailUpdate is what happens to the executions that match: [Found], [Synced] or [Changed].
type TailUpdate interface{ isTailUpdate() }

// Found is an execution that was there when the tail began, or that changed while it was interrupted.
type Found struct {
	// Sequence is that of its last change.
	Sequence  int64
	Execution *Execution
}

// Synced says that every execution that was there when the tail began has been told. It comes once.
type Synced struct{}

// Changed is a change of an execution's status.
type Changed struct {
	StateChange
	// Execution is present where that was its end.
	Execution *Execution
}

func (Found) isTailUpdate()   {}
func (Synced) isTailUpdate()  {}
func (Changed) isTailUpdate() {}

func readStateChange(event *pb.ExecutionEvent) StateChange {
	change := event.GetStateChanged()
	return StateChange{
		ExecutionID:   event.GetExecutionId(),
		Sequence:      event.GetSequence(),
		At:            asTime(event.GetAt()),
		From:          statusWords.of(change.GetFrom()),
		To:            statusWords.of(change.GetTo()),
		Attempt:       int(change.GetAttempt()),
		ErrorType:     change.GetErrorType(),
		NextAttemptAt: asTime(change.GetNextAttemptAt()),
		PromptName:    change.GetPromptName(),
	}
}
