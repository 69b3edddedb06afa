package promptledger

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// promptUpdate is what a stream of prompts tells a cache: one of the types below.
type promptUpdate interface{ isPromptUpdate() }

type (
	// A prompt's whole present state.
	promptPut struct{ state *pb.PromptChange }
	// No other prompts than these are there.
	promptsOnly struct{ names map[string]struct{} }
	// Everything up to this revision has been told.
	promptsReached struct{ revision int64 }
	// Nothing is missing.
	promptsCurrent struct{}
	// Something may be missing: the stream broke, or the server knows of changes that it has not sent.
	promptsBehind struct{}
)

func (promptPut) isPromptUpdate()      {}
func (promptsOnly) isPromptUpdate()    {}
func (promptsReached) isPromptUpdate() {}
func (promptsCurrent) isPromptUpdate() {}
func (promptsBehind) isPromptUpdate()  {}

// promptReader reads the streams of prompts: what is known of their place, over several streams. Pure.
type promptReader struct {
	names      []string
	namePrefix string
	cursor     int64
	// The prompts that the present stream has told; nil where it did not begin at 0, or has told all that was there.
	seen map[string]struct{}
	// The parts of a state that is not told whole yet.
	parts *pb.PromptChange
}

func (r *promptReader) ask() proto.Message {
	return &pb.WatchPromptsRequest{Names: r.names, NamePrefix: r.namePrefix, AfterRevision: r.cursor}
}

func (r *promptReader) begins() {
	r.parts, r.seen = nil, nil
	if r.cursor == 0 {
		r.seen = map[string]struct{}{}
	}
}

func (r *promptReader) resumes() bool { return true }

func (r *promptReader) take(message *pb.WatchPromptsResponse, tell func(promptUpdate)) taken {
	isCurrent := false
	switch kind := message.GetKind().(type) {
	case *pb.WatchPromptsResponse_Change:
		if state := r.whole(kind.Change); state != nil {
			if r.seen != nil {
				r.seen[state.GetPrompt().GetName()] = struct{}{}
			}
			tell(promptPut{state})
		}
	case *pb.WatchPromptsResponse_Synced:
		if r.seen != nil {
			tell(promptsOnly{r.seen})
			r.seen = nil
		}
		isCurrent = true
	case *pb.WatchPromptsResponse_Heartbeat:
		if kind.Heartbeat.GetBehind() {
			tell(promptsBehind{})
		} else {
			isCurrent = r.seen == nil && r.parts == nil
		}
	}
	// Also of a kind that is not known.
	isFurther := message.GetRevision() > r.cursor
	if isFurther {
		r.cursor = message.GetRevision()
		tell(promptsReached{r.cursor})
	}
	if isCurrent {
		tell(promptsCurrent{})
	}
	// A stream that breaks each time before it has come further gets nowhere, however much it tells.
	return news(isFurther || isCurrent)
}

func (r *promptReader) broke(f failure, tell func(promptUpdate)) bool {
	tell(promptsBehind{})
	if !f.isError() {
		return false
	}
	if (f.Reason == "EVENTS_COMPACTED" || f.Reason == "REVISION_AHEAD") && r.cursor > 0 {
		// Nothing can be resumed: everything is told again, and what is not told is gone.
		r.cursor = 0
		tell(promptsReached{0})
		return true
	}
	switch f.Code {
	case codes.ResourceExhausted, codes.Internal, codes.DeadlineExceeded, codes.Unimplemented, codes.Unknown, codes.Aborted,
		codes.Canceled:
		// Too much is asked at once, a server failed, or is of a release that does not know the call: that passes.
		return true
	default:
		return false
	}
}

// whole returns the state that this change completes; nil where more of it follows.
func (r *promptReader) whole(change *pb.PromptChange) *pb.PromptChange {
	parts := r.parts
	r.parts = nil
	whole := change
	if parts != nil && parts.GetPrompt().GetPromptId() == change.GetPrompt().GetPromptId() {
		parts.LabelledVersions = append(parts.LabelledVersions, change.GetLabelledVersions()...)
		parts.MoreFollows = change.GetMoreFollows()
		whole = parts
	}
	if whole.GetMoreFollows() {
		r.parts = whole
		return nil
	}
	if whole.GetPrompt() == nil {
		return nil
	}
	return whole
}
