package promptledger

import (
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// followed returns the effect of the last event, and all updates.
func followed(f *follower, events ...*pb.ExecutionEvent) (effect taken, updates []Update) {
	for _, event := range events {
		effect = f.take(event, func(update Update) { updates = append(updates, update) })
	}
	return effect, updates
}

func textsOf(updates []Update) []string {
	var texts []string
	for _, update := range updates {
		if text, ok := update.(Text); ok {
			texts = append(texts, text.Text)
		}
	}
	return texts
}

func TestTheCursorMovesWithEveryKindButASnapshot(t *testing.T) {
	unknown := &pb.ExecutionEvent{ExecutionId: scripted.ID, Sequence: 2}
	for _, each := range []struct {
		name   string
		events []*pb.ExecutionEvent
		cursor int64
	}{
		{"snapshot", []*pb.ExecutionEvent{scripted.Snapshot(9)}, 0},
		{"state", []*pb.ExecutionEvent{scripted.Running(1)}, 1},
		{"unknown kind", []*pb.ExecutionEvent{scripted.Running(1), unknown}, 2},
		{"heartbeat", []*pb.ExecutionEvent{scripted.Heartbeat(5)}, 5},
		{"earlier heartbeat", []*pb.ExecutionEvent{scripted.Heartbeat(5), scripted.Heartbeat(3)}, 5},
		{"text", []*pb.ExecutionEvent{scripted.Text(1, 0, "x")}, 0},
	} {
		f := followExecution(scripted.ID, 0)
		followed(f, each.events...)
		if cursor := f.ask().(*pb.WatchExecutionRequest).AfterSequence; cursor != each.cursor {
			t.Errorf("%s: %d", each.name, cursor)
		}
	}
}

func TestAGapBreaksTheStream(t *testing.T) {
	for _, each := range []struct {
		after    int64
		event    *pb.ExecutionEvent
		expected taken
	}{
		{0, scripted.Running(2), tookGap},
		{0, scripted.Text(1, 3, "x"), tookGap},
		{2, scripted.Running(3), tookNews},
		{2, scripted.Running(2), tookNothing},
	} {
		if effect, _ := followed(followExecution(scripted.ID, each.after), each.event); effect != each.expected {
			t.Errorf("%v after %d: %v", each.event, each.after, effect)
		}
	}
}

func TestTextThatComesAgainIsToldOnce(t *testing.T) {
	_, updates := followed(followExecution(scripted.ID, 0),
		scripted.Text(1, 0, "häl"), scripted.Text(1, 0, "häll"), scripted.Text(1, 5, "o"), scripted.Text(1, 2, "x"))
	if texts := textsOf(updates); !slices.Equal(texts, []string{"häl", "l", "o"}) {
		t.Error(texts)
	}
	// Within a character: the texts differ.
	if effect, _ := followed(followExecution(scripted.ID, 0), scripted.Text(1, 0, "a"), scripted.Text(1, 0,
		"ä")); effect != tookGap {
		t.Error(effect)
	}
}

func TestAnotherAttemptRestartsTheText(t *testing.T) {
	_, updates := followed(followExecution(scripted.ID, 0),
		scripted.Text(1, 0, "one"), scripted.Text(2, 0, "two"), scripted.Text(1, 3, "late"))
	if !reflect.DeepEqual(updates, []Update{Text{1, 0, "one"}, Restarted{2}, Text{2, 0, "two"}}) {
		t.Error(updates)
	}
	_, updates = followed(followExecution(scripted.ID, 0), scripted.Text(2, 0, "two"))
	if len(updates) != 1 {
		t.Error("nothing was told before:", updates)
	}
}

func TestAtTheEndTheTextIsTheResponse(t *testing.T) {
	for _, each := range []struct {
		before   string
		response string
		attempt  int32
		restarts bool
		texts    []string
	}{
		{"", "all of it", 1, false, []string{"all of it"}},
		{"all ", "all of it", 1, false, []string{"all ", "of it"}},
		{"all of it", "all of it", 1, false, []string{"all of it"}},
		{"other", "all of it", 1, true, []string{"other", "all of it"}},
		{"all of it, and more", "all of it", 1, true, []string{"all of it, and more", "all of it"}},
		{"all ", "all of it", 2, true, []string{"all ", "all of it"}},
		{"part", "", 1, false, []string{"part"}},
	} {
		var events []*pb.ExecutionEvent
		if each.before != "" {
			events = append(events, scripted.Text(1, 0, each.before))
		}
		effect, updates := followed(followExecution(scripted.ID, 0), append(events, scripted.End(1, each.attempt,
			each.response))...)
		restarts := slices.ContainsFunc(updates, func(u Update) bool { _, ok := u.(Restarted); return ok })
		if _, ends := updates[len(updates)-1].(Ended); effect != tookLast || !ends || restarts != each.restarts ||
			!slices.Equal(textsOf(updates), each.texts) {
			t.Errorf("%+v: %v %v", each, effect, updates)
		}
	}
}

func TestAnEndThatCameBeforeIsAnEnd(t *testing.T) {
	effect, updates := followed(followExecution(scripted.ID, 3), scripted.End(3, 1, "hi"))
	if effect != tookLast || len(updates) != 2 || updates[0] != (Text{1, 0, "hi"}) {
		t.Error(effect, updates)
	}
}

func TestAnEndWithoutItsExecutionCannotBeRead(t *testing.T) {
	event := scripted.Running(1)
	event.Terminal = true
	if effect, _ := followed(followExecution(scripted.ID, 0), event); effect != tookUnreadable {
		t.Error(effect)
	}
}

func TestAnExecutionThatIsJoinedIsToldOnce(t *testing.T) {
	f := followExecution(scripted.ID, 0)
	_, updates := followed(f, scripted.Reused(1), scripted.Reused(1), scripted.End(1, 1, ""))
	if updates[0] != (Joined{scripted.ID}) || len(updates) != 3 || !updates[2].(Ended).Execution.Reused {
		t.Error(updates)
	}
}

func TestWhatAFollowerAsksFor(t *testing.T) {
	spec := &pb.ExecutionSpec{PromptName: "greet"}
	keyed := followSpec(&pb.ExecutionSpec{IdempotencyKey: "k"}, false)
	begun := followSpec(&pb.ExecutionSpec{IdempotencyKey: "k"}, false)
	followed(begun, scripted.Running(1))
	for _, each := range []struct {
		follower *follower
		asks     proto.Message
		resumes  bool
	}{
		{followSpec(spec, false), &pb.StreamExecutionRequest{Spec: spec}, false},
		{followSpec(spec, true), &pb.StreamCodePromptRequest{Spec: spec}, false},
		{keyed, &pb.StreamExecutionRequest{Spec: keyed.spec}, true},
		{begun, &pb.WatchExecutionRequest{ExecutionId: scripted.ID, AfterSequence: 1}, true},
	} {
		if asks := each.follower.ask(); !proto.Equal(asks, each.asks) || each.follower.resumes() != each.resumes {
			t.Errorf("%v: %v", asks, each.follower.resumes())
		}
	}
}
