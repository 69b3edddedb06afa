package promptledger

import (
	"crypto/sha256"
	"hash"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// follower reads the streams of one execution: what is known of it, over several streams. With a spec the first stream executes
// it. Pure.
type follower struct {
	// Empty until the first event of a stream that executes.
	executionID string
	cursor      int64
	spec        *pb.ExecutionSpec
	// The spec's prompt is of tracking mode.
	tracking bool
	text     followedText
	joined   bool
}

func followExecution(executionID string, after int64) *follower {
	return &follower{executionID: executionID, cursor: after, text: followedText{hash: sha256.New()}}
}

func followSpec(spec *pb.ExecutionSpec, tracking bool) *follower {
	return &follower{spec: spec, tracking: tracking, text: followedText{hash: sha256.New()}}
}

func (f *follower) ask() proto.Message {
	switch {
	case f.executionID != "":
		return &pb.WatchExecutionRequest{ExecutionId: f.executionID, AfterSequence: f.cursor}
	case f.tracking:
		return &pb.StreamCodePromptRequest{Spec: f.spec}
	default:
		return &pb.StreamExecutionRequest{Spec: f.spec}
	}
}

func (f *follower) begins() {}

func (f *follower) resumes() bool { return f.spec == nil || f.spec.IdempotencyKey != "" }

func (f *follower) broke(failure, func(Update)) bool { return false }

func (f *follower) take(event *pb.ExecutionEvent, tell func(Update)) taken {
	if f.executionID == "" {
		f.executionID = event.GetExecutionId()
	}
	if event.GetSequence() > f.cursor+1 {
		return tookGap
	}
	isNew := event.GetSequence() > f.cursor
	f.cursor = max(f.cursor, event.GetSequence())
	effect := news(isNew)
	switch kind := event.GetKind().(type) {
	case *pb.ExecutionEvent_StateChanged:
		change := kind.StateChanged
		ended := event.GetTerminal() && change.GetExecution() != nil
		if ended {
			f.text.finish(change.GetAttempt(), change.GetExecution().GetResponseText(), tell)
		}
		if isNew {
			tell(readStateChange(event))
		}
		if ended {
			execution := readExecution(change.GetExecution())
			execution.Reused = f.joined
			tell(Ended{execution})
			return tookLast
		}
	case *pb.ExecutionEvent_TextDelta:
		effect = f.text.take(kind.TextDelta, tell)
	case *pb.ExecutionEvent_Heartbeat:
		f.cursor = max(f.cursor, kind.Heartbeat.GetThroughSequence())
		effect = tookNews
	case *pb.ExecutionEvent_Snapshot:
		if kind.Snapshot.GetReused() && !f.joined {
			f.joined = true
			tell(Joined{event.GetExecutionId()})
		}
		effect = tookNothing
	default:
		// An event of an unknown kind may have a sequence too.
	}
	if event.GetTerminal() {
		return tookUnreadable
	}
	return effect
}

// followedText is how much of an attempt's text was told.
type followedText struct {
	// 0 before the first text.
	attempt int32
	// In UTF-8 bytes, and their hash: it tells whether the final text begins with them, without keeping them.
	given int
	hash  hash.Hash
}

// take tells the new part of a delta. After a reconnect the text is sent again from its beginning.
func (t *followedText) take(delta *pb.ExecutionTextDelta, tell func(Update)) taken {
	if delta.GetAttempt() < t.attempt {
		return tookNothing
	}
	if delta.GetAttempt() > t.attempt {
		t.restart(delta.GetAttempt(), tell)
	}
	known := t.given - int(delta.GetOffset())
	if known < 0 {
		return tookGap
	}
	text := delta.GetText()
	if known >= len(text) {
		return tookNothing
	}
	if !utf8.RuneStart(text[known]) {
		// The known text ends within a character of this one: the texts differ.
		return tookGap
	}
	t.give(text[known:], tell)
	return tookNews
}

// finish tells what is missing of the final text: what was never streamed, or was lost.
func (t *followedText) finish(attempt int32, response string, tell func(Update)) {
	if attempt != t.attempt {
		t.restart(attempt, tell)
	}
	if response == "" {
		// A failed execution has no response; the partial text stays valid.
		return
	}
	if !t.isBeginningOf(response) {
		t.restart(attempt, tell)
	}
	t.give(response[t.given:], tell)
}

func (t *followedText) isBeginningOf(response string) bool {
	if len(response) < t.given {
		return false
	}
	found := sha256.Sum256([]byte(response[:t.given]))
	return found == [sha256.Size]byte(t.hash.Sum(nil))
}

func (t *followedText) restart(attempt int32, tell func(Update)) {
	if t.given > 0 {
		tell(Restarted{int(attempt)})
	}
	t.attempt, t.given = attempt, 0
	t.hash.Reset()
}

func (t *followedText) give(text string, tell func(Update)) {
	if text == "" {
		return
	}
	tell(Text{Attempt: int(t.attempt), Offset: t.given, Text: text})
	t.given += len(text)
	t.hash.Write([]byte(text))
}
