package promptledger_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
)

func TestWritesThatCannotBeDoneTwiceAreNot(t *testing.T) {
	server := scripted.Start(t)
	refusal := one(scripted.Refuse(codes.Unavailable, "", -1))
	for _, method := range []string{"PutPrompt", "SetActiveVersion", "SetLabel", "RemoveLabel", "ArchivePrompt",
		"UnarchivePrompt"} {
		server.On(method, refusal)
	}
	prompts, ctx := connect(t, server).Prompts, t.Context()
	etag := promptledger.WithEtag("e")
	var failures []error
	fail := func(_ any, err error) { failures = append(failures, err) }
	fail(prompts.Put(ctx, "greet", promptledger.Template("Hi"), etag))
	fail(prompts.Put(ctx, "greet", promptledger.Template("Hi"), promptledger.WithCreateOnly()))
	fail(prompts.Activate(ctx, "greet", 1, etag))
	fail(prompts.Label(ctx, "greet", "production", 1, etag))
	fail(prompts.Unlabel(ctx, "greet", "production"))
	fail(prompts.Archive(ctx, "greet", etag))
	fail(prompts.Unarchive(ctx, "greet", etag))
	for _, err := range failures {
		wantError[*promptledger.Unavailable](t, err)
	}
	if len(server.Asked()) != len(failures) {
		t.Error(server.Asked())
	}
}

func TestWhatIsRefusedIsAnErrorEverywhere(t *testing.T) {
	server := scripted.Start(t)
	refusal := one(scripted.Refuse(codes.PermissionDenied, "SCOPE_MISSING", -1))
	for _, method := range []string{
		"RunExecution", "SubmitExecution", "ExecuteCodePrompt", "GetExecution", "CancelExecution", "ListExecutions", "GetPrompt",
		"BatchGetPrompts", "ListPrompts", "GetVersion", "ListVersions", "GetPromptHistory", "ListPromptChanges", "RenderPrompt",
		"RegisterCodePrompts", "StreamExecution", "WatchExecutions",
	} {
		server.On(method, refusal)
	}
	ledger, ctx := connect(t, server), t.Context()
	codeLedger := connect(t, server, promptledger.WithTrackingOnly())
	prompts, handle := ledger.Prompts, ledger.Handle(scripted.ID)
	var failures []error
	fail := func(_ any, err error) { failures = append(failures, err) }
	fail(ledger.Run(ctx, "a", nil))
	fail(ledger.Execute(ctx, "a", nil))
	fail(ledger.Submit(ctx, "a", nil))
	fail(codeLedger.Submit(ctx, "a", nil))
	fail(handle.Get(ctx))
	fail(handle.Cancel(ctx, ""))
	fail(prompts.Get(ctx, "a"))
	fail(prompts.BatchGet(ctx, []string{"a"}, ""))
	fail(prompts.Version(ctx, "a"))
	fail(prompts.Render(ctx, "a", nil))
	fail(ledger.RegisterCodePrompts(ctx, promptledger.CodeTexts{"a": "b"}))
	fail(ledger.Stream(ctx, "a", nil).Result(ctx))
	fail(ledger.Tail(ctx, promptledger.TailFilter{}).Next(ctx))
	for _, err := range ledger.Executions(ctx, promptledger.ExecutionFilter{}) {
		fail(nil, err)
	}
	for _, err := range prompts.List(ctx, promptledger.PromptFilter{}) {
		fail(nil, err)
	}
	for _, err := range prompts.Versions(ctx, "a") {
		fail(nil, err)
	}
	for _, err := range prompts.History(ctx, "a") {
		fail(nil, err)
	}
	for _, err := range prompts.Changes(ctx, promptledger.ChangeFilter{}) {
		fail(nil, err)
	}
	if len(failures) != 18 {
		t.Error(len(failures))
	}
	for _, err := range failures {
		wantError[*promptledger.ScopeMissing](t, err)
	}
}

func TestWhatCannotBeSentIsNoCall(t *testing.T) {
	server := scripted.Start(t)
	ledger, ctx := connect(t, server), t.Context()
	prompts, wrong := ledger.Prompts, promptledger.Vars{"x": func() {}}
	model := promptledger.Config{Model: "gpt"}
	var failures []error
	fail := func(_ any, err error) { failures = append(failures, err) }
	fail(ledger.Run(ctx, "a", wrong))
	fail(ledger.Execute(ctx, "a", wrong))
	fail(ledger.Submit(ctx, "a", wrong))
	fail(ledger.Stream(ctx, "a", wrong).Result(ctx))
	fail(prompts.Render(ctx, "a", wrong))
	fail(prompts.RenderDraft(ctx, promptledger.Template("a"), nil, promptledger.WithConfig(model)))
	fail(prompts.Put(ctx, "a", nil, promptledger.WithConfig(model)))
	fail(ledger.RegisterCodePrompts(ctx, promptledger.CodePrompts{{Name: "a", Config: &model}}))
	fail(ledger.RegisterCodePrompts(ctx, promptledger.CodePrompts{{Name: "a", Format: "mustache"}}))
	fail(ledger.Tail(ctx, promptledger.TailFilter{Statuses: []promptledger.Status{"lost"}}).Next(ctx))
	for _, filter := range []promptledger.ExecutionFilter{{Statuses: []promptledger.Status{"lost"}}, {Mode: "lost"},
		{Model: "gpt"}} {
		for _, err := range ledger.Executions(ctx, filter) {
			fail(nil, err)
		}
	}
	for _, err := range prompts.List(ctx, promptledger.PromptFilter{Mode: "lost"}) {
		fail(nil, err)
	}
	for _, err := range prompts.History(ctx, "a", promptledger.WithExpectedMode("lost")) {
		fail(nil, err)
	}
	for _, err := range prompts.Changes(ctx, promptledger.ChangeFilter{Kinds: []promptledger.ChangeKind{"lost"}}) {
		fail(nil, err)
	}
	if len(failures) != 16 {
		t.Error(len(failures))
	}
	for _, err := range failures {
		wantError[*promptledger.InvalidField](t, err)
	}
	if asked := server.Asked(); len(asked) != 0 {
		t.Error(asked)
	}
	// gRPC finds these, behind the connection.
	for _, err := range []error{
		second(prompts.Get(ctx, "\xff")),
		second(ledger.Submit(ctx, "a", nil, promptledger.WithCorrelationID("\xff"))),
		second(ledger.Stream(ctx, "a", nil, promptledger.WithCorrelationID("\xff")).Result(ctx)),
		second(ledger.PromptCache(ctx, promptledger.WithNames("\xff"))),
	} {
		wantError[*promptledger.InvalidField](t, err)
	}
	two := []promptledger.VersionOption{promptledger.WithVersion(1), promptledger.WithLabel("a")}
	_, err := prompts.Version(ctx, "a", two...)
	wantError[*promptledger.InvalidArgument](t, err)
	_, err = prompts.Render(ctx, "a", nil, two...)
	wantError[*promptledger.InvalidArgument](t, err)
	if asked := server.Asked(); len(asked) != 0 {
		t.Error(asked)
	}
}

// second is the error of a call.
func second[T any](_ T, err error) error { return err }
