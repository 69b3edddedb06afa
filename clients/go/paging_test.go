package promptledger_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func TestPagesAreReadAsTheyAreReached(t *testing.T) {
	server := scripted.Start(t)
	page := func(token string, names ...string) scripted.Answer {
		answer := &pb.ListPromptsResponse{NextPageToken: token}
		for _, name := range names {
			answer.Prompts = append(answer.Prompts, &pb.Prompt{PromptId: name, Name: name})
			answer.ActiveVersions = append(answer.ActiveVersions, &pb.PromptVersion{PromptId: name, VersionNumber: 4})
		}
		return one(answer)
	}
	server.On("ListPrompts", page("2", "a", "b"), page("3"), page("", "c"))
	ledger := connect(t, server)
	var names []string
	filter := promptledger.PromptFilter{Mode: promptledger.PromptModeTracking, PageSize: 2}
	for _, prompt := range all(t, ledger.Prompts.List(t.Context(), filter)) {
		names = append(names, fmt.Sprint(prompt.Name, prompt.Version.Number))
	}
	if !slices.Equal(names, []string{"a4", "b4", "c4"}) {
		t.Error(names)
	}
	for i, request := range scripted.Requests[*pb.ListPromptsRequest](server, "ListPrompts") {
		if request.PageToken != []string{"", "2", "3"}[i] || request.Mode != pb.PromptMode_PROMPT_MODE_TRACKING ||
			request.PageSize != 2 {
			t.Error(request)
		}
	}
	// A loop that is left asks for no further page.
	server.On("ListPrompts", page("2", "a"), page("3", "b"))
	for range ledger.Prompts.List(t.Context(), filter) {
		break
	}
	if asked := len(server.Asked()); asked != 4 {
		t.Error(asked)
	}
}

func TestBatchesOfAnySizeAreGot(t *testing.T) {
	server := scripted.Start(t)
	var names []string
	for i := range 120 {
		names = append(names, fmt.Sprint("p", i))
	}
	answer := func(found, missing, leftOut []string) scripted.Answer {
		response := &pb.BatchGetPromptsResponse{Missing: missing, LeftOut: leftOut}
		for _, name := range found {
			response.Found = append(response.Found, &pb.FoundPrompt{Prompt: &pb.Prompt{Name: name}})
		}
		return one(response)
	}
	server.On("BatchGetPrompts", answer(names[:90], names[90:91], names[91:100]), answer(names[91:], nil, nil))
	batch := must[*promptledger.Batch](t)(
		connect(t, server).Prompts.BatchGet(t.Context(), names, "production", promptledger.WithMinRevision(7)))
	if len(batch.Found) != 119 || !slices.Equal(batch.Missing, []string{"p90"}) {
		t.Error(len(batch.Found), batch.Missing)
	}
	requests := scripted.Requests[*pb.BatchGetPromptsRequest](server, "BatchGetPrompts")
	if len(requests) != 2 || !slices.Equal(requests[0].Names, names[:100]) || !slices.Equal(requests[1].Names, names[91:]) ||
		requests[1].GetMinRevision() != 7 || requests[1].Label != "production" {
		t.Error(requests)
	}
}

func TestAServerThatGetsNoFurtherIsAskedNoMore(t *testing.T) {
	server := scripted.Start(t)
	server.On("ListPrompts", one(&pb.ListPromptsResponse{NextPageToken: "2"}))
	server.On("BatchGetPrompts", one(&pb.BatchGetPromptsResponse{LeftOut: []string{"a", "b"}}))
	ledger := connect(t, server)
	for _, err := range ledger.Prompts.List(inTime(t), promptledger.PromptFilter{}) {
		wantError[*promptledger.Internal](t, err)
	}
	_, err := ledger.Prompts.BatchGet(inTime(t), []string{"a", "b"}, "")
	wantError[*promptledger.Internal](t, err)
	if asked := len(server.Asked()); asked != 3 {
		t.Error(asked)
	}
}

func TestANumberThatTheContractDoesNotHaveBecomesNoOther(t *testing.T) {
	server := scripted.Start(t)
	server.On("SetActiveVersion", one(&pb.SetActiveVersionResponse{Prompt: &pb.Prompt{Name: "greet"}}))
	ledger := connect(t, server)
	for _, version := range []int{math.MaxInt32 + 2, -1 << 32} {
		must[*promptledger.Prompt](t)(ledger.Prompts.Activate(t.Context(), "greet", version))
	}
	for i, request := range scripted.Requests[*pb.SetActiveVersionRequest](server, "SetActiveVersion") {
		if request.VersionNumber != []int32{math.MaxInt32, math.MinInt32}[i] {
			t.Error(request)
		}
	}
}
