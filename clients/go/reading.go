package promptledger

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Updates are what happens to one execution, to its end. Each state change comes once and in order; texts can be appended as
// they come; the last update is [Ended]. Broken connections and restarts of servers cause a delay and no error.
//
// One goroutine reads at a time. They hold a stream until they are over, closed, or their context has ended.
type Updates struct {
	following   *following[*pb.ExecutionEvent, Update]
	executionID string
	text        strings.Builder
	execution   *Execution
}

// All yields the updates to the end, or to the first error, and hangs up where the loop is left.
func (u *Updates) All() iter.Seq2[Update, error] {
	return all(u.Next, u.Close)
}

// Next returns the next update, and [io.EOF] after the last one or after Close. Where ctx ends before, that is the error, and
// Next can be called again; any other error is the end, and is returned again.
func (u *Updates) Next(ctx context.Context) (Update, error) {
	update, err := u.following.next(ctx)
	if err != nil {
		return nil, err
	}
	switch update := update.(type) {
	case Text:
		u.text.WriteString(update.Text)
	case Restarted:
		u.text.Reset()
	case Joined:
		u.executionID = update.ExecutionID
	case StateChange:
		u.executionID = update.ExecutionID
	case Ended:
		u.executionID, u.execution = update.Execution.ID, update.Execution
	}
	return update, nil
}

// Texts yields the text alone, as the model writes it. Where another attempt begins anew, [Updates.Text] does so too.
func (u *Updates) Texts() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for update, err := range u.All() {
			text, isText := update.(Text)
			if (isText || err != nil) && !yield(text.Text, err) {
				return
			}
		}
	}
}

// Result reads to the end, at most until ctx ends, and returns the execution.
func (u *Updates) Result(ctx context.Context) (*Execution, error) {
	for u.execution == nil {
		if _, err := u.Next(ctx); errors.Is(err, io.EOF) {
			return nil, clientClosed()
		} else if err != nil {
			return nil, err
		}
	}
	return u.execution, nil
}

// ExecutionID returns the execution. Empty until it is known.
func (u *Updates) ExecutionID() string { return u.executionID }

// Text returns the text that was read so far, of the present attempt.
func (u *Updates) Text() string { return u.text.String() }

// Close hangs up.
func (u *Updates) Close() { u.following.close() }

// Tail is what happens to all executions that match, without end. It is read as [Updates] are.
type Tail struct {
	following *following[*pb.ExecutionEvent, TailUpdate]
}

// All yields the updates to the first error, and hangs up where the loop is left.
func (t *Tail) All() iter.Seq2[TailUpdate, error] { return all(t.Next, t.Close) }

// Next returns the next update, and [io.EOF] after Close. Where ctx ends before, that is the error, and Next can be called again.
func (t *Tail) Next(ctx context.Context) (TailUpdate, error) { return t.following.next(ctx) }

// Close hangs up.
func (t *Tail) Close() { t.following.close() }

func all[U any](next func(context.Context) (U, error), hangUp func()) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		defer hangUp()
		for {
			update, err := next(context.Background())
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(update, err) || err != nil {
				return
			}
		}
	}
}
