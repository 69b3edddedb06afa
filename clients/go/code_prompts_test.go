package promptledger_test

import (
	"strings"
	"testing"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func TestARegisteredPromptIsExecutedByTheHashOfItsText(t *testing.T) {
	server := scripted.Start(t)
	hash := strings.Repeat("ab", 32)
	registered := &pb.RegisteredPrompt{Name: "WELCOME", Version: 3, ChecksumHash: hash,
		Action: pb.RegistrationAction_REGISTRATION_ACTION_NEW}
	server.On("RegisterCodePrompts", one(&pb.RegisterCodePromptsResponse{Registered: []*pb.RegisteredPrompt{registered}}))
	server.On("ExecuteCodePrompt", one(&pb.ExecuteCodePromptResponse{Execution: scripted.Execution("hi")}))
	ledger, ctx := connect(t, server), t.Context()
	texts := promptledger.CodeTexts{"WELCOME": "Hello {{name}}"}
	must[*promptledger.Registration](t)(ledger.RegisterCodePrompts(ctx, texts, promptledger.WithDryRun()))
	must[*promptledger.Execution](t)(ledger.Execute(ctx, "WELCOME", nil))
	must[*promptledger.Registration](t)(ledger.RegisterCodePrompts(ctx, texts,
		promptledger.WithSource("shop", "4f2a"), promptledger.WithCreatedBy("ada"), promptledger.WithSetActive(false)))
	must[*promptledger.Execution](t)(ledger.Execute(ctx, "WELCOME", nil))
	must[*promptledger.Execution](t)(ledger.Execute(ctx, "WELCOME", nil, promptledger.WithVersion(2)))
	must[*promptledger.Execution](t)(ledger.Run(ctx, "WELCOME", nil))
	must[*promptledger.Handle](t)(ledger.Submit(ctx, "WELCOME", nil))
	requests := scripted.Requests[*pb.ExecuteCodePromptRequest](server, "ExecuteCodePrompt")
	for i, expected := range []string{"", hash, "", hash, hash} {
		mode := pb.ExecutionMode_EXECUTION_MODE_SYNC
		if i == 4 {
			mode = pb.ExecutionMode_EXECUTION_MODE_ASYNC
		}
		if requests[i].Spec.GetChecksumHash() != expected || requests[i].Mode != mode ||
			(requests[i].Spec.IdempotencyKey != "") != (i == 4) {
			t.Errorf("%d: %v", i, requests[i])
		}
	}
	request := scripted.Requests[*pb.RegisterCodePromptsRequest](server, "RegisterCodePrompts")[1]
	if request.Source.Commit != "4f2a" || request.CreatedBy != "ada" || request.SetActive == nil || *request.SetActive {
		t.Error(request)
	}
}

func TestATrackingOnlyClientExecutesCodePrompts(t *testing.T) {
	server := scripted.Start(t)
	server.On("ExecuteCodePrompt", one(&pb.ExecuteCodePromptResponse{Execution: scripted.Execution("hi"), Reused: true}))
	ledger := connect(t, server, promptledger.WithTrackingOnly())
	execution := must[*promptledger.Execution](t)(ledger.Run(t.Context(), "WELCOME", nil,
		promptledger.WithMessages(promptledger.Message{Role: "user", Content: "Hi"})))
	request := scripted.Requests[*pb.ExecuteCodePromptRequest](server, "ExecuteCodePrompt")[0]
	if !execution.Reused || request.Spec.Messages[0].Content != "Hi" || request.Spec.Variables != nil {
		t.Error(request)
	}
}
