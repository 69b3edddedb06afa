package promptledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

var aged = scripted.Refuse(codes.Unavailable, "DRAINING", soon)

func TestAWatchGoesOnWhereItsStreamBroke(t *testing.T) {
	for name, broken := range map[string][]any{
		"aged":        {aged},
		"unavailable": {scripted.Refuse(codes.Unavailable, "", -1)},
		"slow":        {scripted.Refuse(codes.Aborted, "SLOW_CONSUMER", -1)},
		"reset":       {scripted.Refuse(codes.Internal, "", -1)},
		"canceled":    {scripted.Refuse(codes.Canceled, "", -1)},
		"cut":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			server := scripted.Start(t)
			first := scripted.Watched(scripted.Snapshot(2), scripted.Running(1), scripted.Running(2),
				scripted.Text(1, 0, "one "), scripted.Text(1, 4, "two "))
			second := scripted.Watched(scripted.Snapshot(2), scripted.Text(1, 0, "one two t"), scripted.Text(1, 9, "hree"),
				scripted.End(3, 1, "one two three"))
			server.On("WatchExecution", first.And(broken...), second)
			updates := connect(t, server).Watch(t.Context(), scripted.ID)
			if got := told(t, updates); got != "1 | 2 | one  | two  | t | hree | 3 | ended succeeded" {
				t.Error(got)
			}
			if updates.Text() != "one two three" || updates.ExecutionID() != scripted.ID {
				t.Error(updates.Text(), updates.ExecutionID())
			}
			requests := scripted.Requests[*pb.WatchExecutionRequest](server, "WatchExecution")
			if len(requests) != 2 || requests[0].AfterSequence != 0 || requests[1].AfterSequence != 2 {
				t.Error(requests)
			}
		})
	}
}

func TestSilenceIsABreak(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution",
		scripted.Watched(scripted.Snapshot(1), scripted.Running(1)).And(scripted.Hang{}),
		// The first may already be silent while it is opened: then this one tells all.
		scripted.Watched(scripted.Running(1), scripted.End(2, 1, "hi")))
	ledger := connect(t, server, promptledger.WithSilence(500*time.Millisecond))
	if got := told(t, ledger.Watch(t.Context(), scripted.ID)); got != "1 | hi | 2 | ended succeeded" {
		t.Error(got)
	}
	happens(t, server.HungUp)
}

func TestARefusalIsFinal(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", one(scripted.Refuse(codes.NotFound, "EXECUTION_NOT_FOUND", -1)))
	updates := connect(t, server).Watch(t.Context(), scripted.ID)
	for range 2 {
		_, err := updates.Next(inTime(t))
		wantError[*promptledger.ExecutionNotFound](t, err)
	}
	if asked := len(server.Asked()); asked != 1 {
		t.Error(asked)
	}
}

func TestAWatchGivesUpWhenPatienceEnds(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", scripted.Watched(scripted.Snapshot(0)))
	ledger := connect(t, server, promptledger.WithPatience(300*time.Millisecond))
	_, err := ledger.Handle(scripted.ID).Result(inTime(t))
	wantError[*promptledger.GaveUp](t, err)
	if asked := len(server.Asked()); asked < 2 {
		t.Error(asked)
	}
}

func TestAResultIsWaitedForInTime(t *testing.T) {
	server, arrived := scripted.Start(t), make(chan struct{}, 2)
	server.On("WatchExecution", scripted.Watched(scripted.End(1, 1, "hi")),
		scripted.Answer{func() { arrived <- struct{}{} }}.And(scripted.Watched(scripted.Snapshot(1))...).And(scripted.Hang{}))
	handle := connect(t, server).Handle(scripted.ID)
	if execution := must[*promptledger.Execution](t)(handle.Result(inTime(t))); execution.Text != "hi" {
		t.Error(execution)
	}
	late, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := handle.Result(late)
	wantError[*promptledger.DeadlineExceeded](t, err)
	// Whoever gives up hangs up.
	given, giveUp := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := handle.Result(given)
		waiting <- err
	}()
	happens(t, arrived)
	giveUp()
	wantError[*promptledger.Cancelled](t, <-waiting)
	happens(t, server.HungUp)
}

func TestWaitingForAnUpdateEndsWithItsContextAndGoesOnLater(t *testing.T) {
	server, gate := scripted.Start(t), make(chan struct{})
	server.On("WatchExecution", scripted.Watched(scripted.Running(1)).And(gate).And(scripted.Watched(scripted.End(2, 1, ""))...))
	updates := connect(t, server).Watch(t.Context(), scripted.ID)
	if update := must[promptledger.Update](t)(updates.Next(inTime(t))); update.(promptledger.StateChange).Sequence != 1 {
		t.Error(update)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := updates.Next(ended)
	wantError[*promptledger.Cancelled](t, err)
	close(gate)
	if got := told(t, updates); got != "2 | ended succeeded" {
		t.Error(got)
	}
}

func TestAStreamGivesTextAndThenTheResult(t *testing.T) {
	server := scripted.Start(t)
	server.On("StreamExecution", scripted.Streamed(scripted.Snapshot(1), scripted.Running(1), scripted.Text(1, 0,
		"Hel"), scripted.Text(2, 0, "Hello "),
		scripted.Text(2, 6, "Ada."), scripted.End(2, 2, "Hello Ada.")))
	stream := connect(t, server).Stream(t.Context(), "greet", promptledger.Vars{"name": "Ada"})
	if texts := all(t, stream.Texts()); !slices.Equal(texts, []string{"Hel", "Hello ", "Ada."}) {
		t.Error(texts)
	}
	execution := must[*promptledger.Execution](t)(stream.Result(inTime(t)))
	if execution.Text != "Hello Ada." || stream.Text() != "Hello Ada." {
		t.Error(execution, stream.Text())
	}
}

func TestAStreamWithoutAKeyBreaksOnceItHasBegun(t *testing.T) {
	server := scripted.Start(t)
	server.On("StreamExecution", one(aged),
		scripted.Streamed(scripted.Snapshot(1), scripted.Text(1, 0, "Hello ")).And(scripted.Refuse(codes.Unavailable, "", -1)))
	stream := connect(t, server).Stream(t.Context(), "greet", nil)
	var seen []string
	for text, err := range stream.Texts() {
		if err != nil {
			wantError[*promptledger.NotResumable](t, err)
			seen = append(seen, "error")
			continue
		}
		seen = append(seen, text)
	}
	if !slices.Equal(seen, []string{"Hello ", "error"}) || len(server.Asked()) != 2 {
		t.Error(seen, server.Asked())
	}
}

func TestAStreamWithAKeyGoesOnAsAWatch(t *testing.T) {
	server := scripted.Start(t)
	server.On("StreamExecution", one(scripted.Refuse(codes.Unavailable, "", -1)),
		scripted.Streamed(scripted.Reused(1), scripted.Running(1), scripted.Text(1, 0,
			"Hello ")).And(scripted.Refuse(codes.Internal, "", -1)))
	server.On("WatchExecution", scripted.Watched(scripted.Snapshot(1), scripted.Text(1, 0, "Hello Ada."),
		scripted.End(2, 1, "Hello Ada.")))
	stream := connect(t, server).Stream(t.Context(), "greet", nil, promptledger.WithIdempotencyKey("k"))
	if got := told(t, stream); got != "joined | 1 | Hello  | Ada. | 2 | ended succeeded" {
		t.Error(got)
	}
	for _, request := range scripted.Requests[*pb.StreamExecutionRequest](server, "StreamExecution") {
		if request.Spec.IdempotencyKey != "k" {
			t.Error(request)
		}
	}
	if after := scripted.Requests[*pb.WatchExecutionRequest](server, "WatchExecution")[0].AfterSequence; after != 1 {
		t.Error(after)
	}
}

func TestClosingAStreamHangsUp(t *testing.T) {
	server := scripted.Start(t)
	server.On("StreamExecution", scripted.Streamed(scripted.Snapshot(1), scripted.Text(1, 0, "Hello ")).And(scripted.Hang{}))
	stream := connect(t, server).Stream(t.Context(), "greet", nil)
	if update := must[promptledger.Update](t)(stream.Next(inTime(t))); update.(promptledger.Text).Text != "Hello " {
		t.Error(update)
	}
	stream.Close()
	happens(t, server.HungUp)
	if _, err := stream.Next(inTime(t)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	_, err := stream.Result(inTime(t))
	wantError[*promptledger.ClientClosed](t, err)
}

func TestAWatchIsClosedWhileItIsRead(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", scripted.Watched(scripted.Running(1)).And(scripted.Hang{}))
	updates, seen, ended := connect(t, server).Watch(t.Context(), scripted.ID), make(chan struct{}), make(chan error)
	go func() {
		var last error
		for update, err := range updates.All() {
			if last = err; update != nil {
				close(seen)
			}
		}
		ended <- last
	}()
	happens(t, seen)
	updates.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	happens(t, server.HungUp)
}

func TestAWatchThatNobodyHoldsHangsUp(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", scripted.Watched(scripted.Running(1)).And(scripted.Hang{}))
	must[promptledger.Update](t)(connect(t, server).Watch(t.Context(), scripted.ID).Next(inTime(t)))
	for ctx := inTime(t); ; runtime.GC() {
		select {
		case <-server.HungUp:
			return
		case <-ctx.Done():
			t.Fatal("it did not happen")
		default:
		}
	}
}

func TestALoopThatIsLeftHangsUp(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", scripted.Watched(scripted.Running(1), scripted.Text(1, 0, "Hello ")).And(scripted.Hang{}))
	for text := range connect(t, server).Watch(t.Context(), scripted.ID).Texts() {
		if text != "Hello " {
			t.Error(text)
		}
		break
	}
	happens(t, server.HungUp)
}

func TestTheContextOfAWatchEndsIt(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", scripted.Watched(scripted.Running(1)).And(scripted.Hang{}))
	ctx, cancel := context.WithCancel(t.Context())
	updates := connect(t, server).Watch(ctx, scripted.ID)
	must[promptledger.Update](t)(updates.Next(inTime(t)))
	cancel()
	_, err := updates.Next(inTime(t))
	if wantError[*promptledger.Cancelled](t, err); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	happens(t, server.HungUp)
}

func TestAStreamOfACodePrompt(t *testing.T) {
	server := scripted.Start(t)
	server.On("StreamCodePrompt", one(&pb.StreamCodePromptResponse{Event: scripted.End(1, 1, "hi")}))
	ledger := connect(t, server, promptledger.WithTrackingOnly())
	execution := must[*promptledger.Execution](t)(ledger.Stream(t.Context(), "WELCOME", nil).Result(inTime(t)))
	if execution.Text != "hi" {
		t.Error(execution)
	}
}

// More than a buffer has room for, counted from where a stream begins.
const tooMany = 1024 + 100

func TestAReaderThatIsTooSlowGetsAllOfItByAnotherStream(t *testing.T) {
	server, sent := scripted.Start(t), make(chan struct{})
	var states []*pb.ExecutionEvent
	for sequence := range int64(tooMany) {
		states = append(states, scripted.Running(sequence+1))
	}
	server.On("WatchExecution",
		scripted.Watched(states[0]).And(sent).And(scripted.Watched(states[1:]...)...).And(scripted.Hang{}),
		scripted.Watched(append(states[1000:], scripted.End(tooMany+1, 1, ""))...))
	updates := connect(t, server).Watch(t.Context(), scripted.ID)
	must[promptledger.Update](t)(updates.Next(inTime(t)))
	close(sent)
	// The buffer is full by now: the server sees that its client hangs up.
	happens(t, server.HungUp)
	var expected []string
	for sequence := 2; sequence <= tooMany+1; sequence++ {
		expected = append(expected, fmt.Sprint(sequence))
	}
	if got := told(t, updates); got != strings.Join(append(expected, "ended succeeded"), " | ") {
		t.Error(got)
	}
	// It has read all that there was room for.
	requests := scripted.Requests[*pb.WatchExecutionRequest](server, "WatchExecution")
	if len(requests) != 2 || requests[1].AfterSequence != 1+1024 {
		t.Error(requests)
	}
}

func TestASlowReaderOfAStreamWithoutAKeyMakesItsServerWait(t *testing.T) {
	server := scripted.Start(t)
	var pieces []*pb.ExecutionEvent
	for offset := range int32(3 * tooMany) {
		pieces = append(pieces, scripted.Text(1, offset, "x"))
	}
	text := strings.Repeat("x", 3*tooMany)
	server.On("StreamExecution", scripted.Streamed(append(pieces, scripted.End(1, 1, text))...))
	execution := must[*promptledger.Execution](t)(connect(t, server).Stream(t.Context(), "greet", nil).Result(inTime(t)))
	if execution.Text != text || len(server.Asked()) != 1 {
		t.Error(len(execution.Text), len(server.Asked()))
	}
}

func TestATailTellsEachChangeOnce(t *testing.T) {
	server := scripted.Start(t)
	found := scripted.Snapshot(2)
	found.GetSnapshot().Execution = scripted.Execution("")
	synced := &pb.ExecutionEvent{At: &timestamppb.Timestamp{Seconds: 1000},
		Kind: &pb.ExecutionEvent_Synced{Synced: &pb.ExecutionsSynced{}}}
	later := scripted.End(3, 1, "hi")
	later.At = &timestamppb.Timestamp{Seconds: 2000}
	server.On("WatchExecutions",
		scripted.Tailed(found, synced, later).And(aged),
		scripted.Tailed(found, synced, later, scripted.Running(4)).And(scripted.Hang{}))
	tail := connect(t, server).Tail(t.Context(), promptledger.TailFilter{
		PromptName: "greet", Statuses: []promptledger.Status{promptledger.StatusSucceeded, promptledger.StatusFailed}, Full: true,
	})
	var names []string
	for update, err := range tail.All() {
		if err != nil {
			t.Fatal(err)
		}
		switch update := update.(type) {
		case promptledger.Found:
			names = append(names, fmt.Sprint("found ", update.Sequence, update.Execution.ID == scripted.ID))
		case promptledger.Synced:
			names = append(names, "synced")
		case promptledger.Changed:
			names = append(names, fmt.Sprint("changed ", update.Sequence, update.Execution != nil))
		}
		if len(names) == 4 {
			break
		}
	}
	if !slices.Equal(names, []string{"found 2 true", "synced", "changed 3 true", "changed 4 false"}) {
		t.Error(names)
	}
	happens(t, server.HungUp)
	requests := scripted.Requests[*pb.WatchExecutionsRequest](server, "WatchExecutions")
	if len(requests[0].Statuses) != 2 || requests[0].View != pb.ExecutionView_EXECUTION_VIEW_FULL ||
		requests[1].Since.Seconds != 2000 {
		t.Error(requests)
	}
}

func TestClosingTheClientEndsItsWatches(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", scripted.Watched(scripted.Running(1)).And(scripted.Hang{}))
	server.On("WatchExecutions", one(scripted.Refuse(codes.Unavailable, "DRAINING", 20*time.Second)))
	ledger := connect(t, server)
	updates, tail := ledger.Watch(t.Context(), scripted.ID), ledger.Tail(t.Context(), promptledger.TailFilter{})
	must[promptledger.Update](t)(updates.Next(inTime(t)))
	waiting := make(chan error)
	go func() {
		_, err := tail.Next(context.WithoutCancel(t.Context()))
		waiting <- err
	}()
	if err := ledger.Close(); err != nil {
		t.Error(err)
	}
	_, err := updates.Next(inTime(t))
	wantError[*promptledger.ClientClosed](t, err)
	wantError[*promptledger.ClientClosed](t, <-waiting)
}

func TestTheDelayBeforeAnotherStreamEndsWithItsReader(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchExecution", one(scripted.Refuse(codes.Unavailable, "DRAINING", 20*time.Second)))
	updates := connect(t, server).Watch(t.Context(), scripted.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := updates.Next(ctx)
	wantError[*promptledger.DeadlineExceeded](t, err)
	updates.Close()
	if _, err := updates.Next(inTime(t)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
