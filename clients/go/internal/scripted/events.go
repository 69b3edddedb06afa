package scripted

import (
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// ID is the execution that events are of.
const ID = "0190163d-8694-739b-aea5-966c26f8ad91"

func event(event *pb.ExecutionEvent) *pb.ExecutionEvent {
	event.ExecutionId, event.At = ID, &timestamppb.Timestamp{Seconds: 1}
	return event
}

// Snapshot begins a stream.
func Snapshot(through int64) *pb.ExecutionEvent {
	return event(&pb.ExecutionEvent{Kind: &pb.ExecutionEvent_Snapshot{
		Snapshot: &pb.ExecutionSnapshot{ThroughSequence: through},
	}})
}

// Reused begins a stream of an execution that the key has found.
func Reused(through int64) *pb.ExecutionEvent {
	made := Snapshot(through)
	made.GetSnapshot().Reused = true
	return made
}

// State is a change of status.
func State(sequence int64, to pb.ExecutionStatus, attempt int32) *pb.ExecutionEvent {
	return event(&pb.ExecutionEvent{Sequence: sequence, Kind: &pb.ExecutionEvent_StateChanged{
		StateChanged: &pb.ExecutionStateChanged{To: to, Attempt: attempt},
	}})
}

// Running is a change to RUNNING, in the first attempt.
func Running(sequence int64) *pb.ExecutionEvent {
	return State(sequence, pb.ExecutionStatus_EXECUTION_STATUS_RUNNING, 1)
}

// Text is a piece of text.
func Text(attempt, offset int32, text string) *pb.ExecutionEvent {
	return event(&pb.ExecutionEvent{Kind: &pb.ExecutionEvent_TextDelta{
		TextDelta: &pb.ExecutionTextDelta{Attempt: attempt, Offset: offset, Text: text},
	}})
}

// Heartbeat is a sign of life.
func Heartbeat(through int64) *pb.ExecutionEvent {
	return event(&pb.ExecutionEvent{Kind: &pb.ExecutionEvent_Heartbeat{
		Heartbeat: &pb.ExecutionHeartbeat{ThroughSequence: through},
	}})
}

// End is the end of an execution that has succeeded in this attempt.
func End(sequence int64, attempt int32, response string) *pb.ExecutionEvent {
	made := State(sequence, pb.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, attempt)
	made.Terminal = true
	made.GetStateChanged().Execution = Execution(response)
	return made
}

// Execution is one that has succeeded.
func Execution(response string) *pb.Execution {
	return &pb.Execution{ExecutionId: ID, Status: pb.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, ResponseText: response}
}

// Watched is a part of the answer of WatchExecution.
func Watched(events ...*pb.ExecutionEvent) Answer {
	return wrap(events, func(e *pb.ExecutionEvent) any { return &pb.WatchExecutionResponse{Event: e} })
}

// Streamed is a part of the answer of StreamExecution.
func Streamed(events ...*pb.ExecutionEvent) Answer {
	return wrap(events, func(e *pb.ExecutionEvent) any { return &pb.StreamExecutionResponse{Event: e} })
}

// Tailed is a part of the answer of WatchExecutions.
func Tailed(events ...*pb.ExecutionEvent) Answer {
	return wrap(events, func(e *pb.ExecutionEvent) any { return &pb.WatchExecutionsResponse{Event: e} })
}

func wrap(events []*pb.ExecutionEvent, answer func(*pb.ExecutionEvent) any) Answer {
	var answers Answer
	for _, event := range events {
		answers = append(answers, answer(event))
	}
	return answers
}

// And goes on with further items.
func (a Answer) And(items ...any) Answer { return append(a[:len(a):len(a)], items...) }

// PromptState is the whole state of a prompt whose id is its name, with an active version, 0 being none.
func PromptState(name string, revision int64, active int32) *pb.WatchPromptsResponse {
	change := &pb.PromptChange{Prompt: &pb.Prompt{PromptId: name, Name: name}}
	if active > 0 {
		change.Prompt.ActiveVersionNumber = &active
		change.ActiveVersion = PromptVersion(name, active)
	}
	return &pb.WatchPromptsResponse{Revision: revision, Kind: &pb.WatchPromptsResponse_Change{Change: change}}
}

// Labelled adds a version that a label points at.
func Labelled(message *pb.WatchPromptsResponse, label string, number int32) *pb.WatchPromptsResponse {
	change := message.GetChange()
	change.Prompt.Labels = append(change.Prompt.Labels, &pb.PromptLabel{Label: label, VersionNumber: number})
	change.LabelledVersions = append(change.LabelledVersions, PromptVersion(change.Prompt.Name, number))
	return message
}

// MoreFollows makes a state a part of one.
func MoreFollows(message *pb.WatchPromptsResponse) *pb.WatchPromptsResponse {
	message.GetChange().MoreFollows = true
	return message
}

// PromptVersion is a version whose text is the name and the number.
func PromptVersion(name string, number int32) *pb.PromptVersion {
	text := name + " " + strconv.Itoa(int(number))
	return &pb.PromptVersion{
		PromptName:    name,
		VersionNumber: number,
		Template:      &pb.PromptVersion_TemplateSource{TemplateSource: text},
	}
}

// PromptsSynced says that all prompts have been told.
func PromptsSynced(revision int64) *pb.WatchPromptsResponse {
	return &pb.WatchPromptsResponse{Revision: revision, Kind: &pb.WatchPromptsResponse_Synced{Synced: &pb.PromptsSynced{}}}
}

// PromptsHeartbeat is a sign of life.
func PromptsHeartbeat(revision int64, behind bool) *pb.WatchPromptsResponse {
	return &pb.WatchPromptsResponse{Revision: revision, Kind: &pb.WatchPromptsResponse_Heartbeat{
		Heartbeat: &pb.PromptsHeartbeat{Behind: behind},
	}}
}
