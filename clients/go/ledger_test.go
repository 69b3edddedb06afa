package promptledger_test

import (
	"embed"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/ledgertest"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Against a real server, `prompt-ledger dev`. Each test has prompts of its own: they have its name.

func put(t *testing.T, ledger *promptledger.Client, name, template string,
	options ...promptledger.PutOption) *promptledger.WrittenPrompt {
	t.Helper()
	return must[*promptledger.WrittenPrompt](t)(ledger.Prompts.Put(t.Context(), name, promptledger.Template(template), options...))
}

func TestDevRegisterRunAndReadBack(t *testing.T) {
	ledger, own := connectDev(t)
	ctx := t.Context()
	written := put(t, ledger, own, "Say hello to {{name}}.", promptledger.WithSetActive(true), promptledger.WithTags("a"),
		promptledger.WithCreatedBy("ada"))
	if written.Version.Number != 1 || !written.VersionChange || !written.Activated || written.Revision == 0 {
		t.Errorf("%+v", written)
	}
	execution := must[*promptledger.Execution](t)(ledger.Run(ctx, own, promptledger.Vars{"name": "Ada"},
		promptledger.WithCorrelationID("c-1"), promptledger.WithMetadata(map[string]string{"user": "u-17"})))
	if execution.Err() != nil || execution.RenderedPrompt != "Say hello to Ada." || execution.Text == "" ||
		execution.CompletedAt.IsZero() {
		t.Errorf("%+v", execution)
	}
	again := must[*promptledger.Execution](t)(ledger.Handle(execution.ID).Get(ctx))
	if again.Text != execution.Text || again.Mode != promptledger.ModeSync || again.VersionNumber != 1 {
		t.Errorf("%+v", again)
	}
	listed := all(t, ledger.Executions(ctx, promptledger.ExecutionFilter{
		PromptName: own, Version: 1, Metadata: map[string]string{"user": "u-17"},
		Statuses: []promptledger.Status{promptledger.StatusSucceeded},
		Mode:     promptledger.ModeSync, Model: "echo/echo", CorrelationID: "c-1", Start: time.Now().Add(-time.Hour),
		End: time.Now().Add(time.Hour),
	}))
	if len(listed) != 1 || listed[0].ID != execution.ID || listed[0].Text != "" {
		t.Errorf("%+v", listed)
	}
	if full := all(t, ledger.Executions(ctx, promptledger.ExecutionFilter{PromptName: own,
		Full: true})); full[0].Text != execution.Text {
		t.Errorf("%+v", full)
	}
	verified := must[*pb.VerifyExecutionResponse](t)(
		ledger.Raw.Executions.VerifyExecution(ctx, &pb.VerifyExecutionRequest{ExecutionId: execution.ID}))
	if verified.Result != pb.VerificationResult_VERIFICATION_RESULT_MATCH {
		t.Error(verified)
	}
}

func TestDevVersionsLabelsAndTheChangeLog(t *testing.T) {
	ledger, own := connectDev(t)
	prompts, ctx := ledger.Prompts, t.Context()
	first := put(t, ledger, own, "one", promptledger.WithSetActive(true), promptledger.WithDescription("about"),
		promptledger.WithOwnerTeam("shop"))
	second := put(t, ledger, own, "two", promptledger.WithLabels("staging"), promptledger.WithNote("shorter"))
	if second.Prompt.Labels["staging"] != 2 {
		t.Error(second.Prompt.Labels)
	}
	_, err := prompts.Activate(ctx, own, 2, promptledger.WithEtag(first.Prompt.Etag))
	wantError[*promptledger.EtagMismatch](t, err)
	active := must[*promptledger.Prompt](t)(
		prompts.Activate(ctx, own, 2, promptledger.WithEtag(second.Prompt.Etag), promptledger.WithCreatedBy("ada")))
	if active.ActiveVersion != 2 || active.Version.Template != "two" {
		t.Errorf("%+v", active)
	}
	labelled := must[*promptledger.Prompt](t)(prompts.Label(ctx, own, "production", 1))
	if !reflect.DeepEqual(labelled.Labels, map[string]int{"production": 1, "staging": 2}) || labelled.Version.Number != 1 {
		t.Errorf("%+v", labelled)
	}
	if unlabelled := must[*promptledger.Prompt](t)(prompts.Unlabel(ctx, own, "staging")); len(unlabelled.Labels) != 1 {
		t.Error(unlabelled.Labels)
	}
	for _, each := range []struct {
		options  []promptledger.VersionOption
		template string
	}{
		{nil, "two"},
		{[]promptledger.VersionOption{promptledger.WithLabel("production")}, "one"},
		{[]promptledger.VersionOption{promptledger.WithVersion(1)}, "one"},
		{[]promptledger.VersionOption{promptledger.WithChecksumHash(first.Version.ChecksumHash),
			promptledger.WithMinRevision(1)}, "one"},
	} {
		version := must[*promptledger.PromptVersion](t)(prompts.Version(ctx, own, each.options...))
		rendered := must[*promptledger.Rendered](t)(prompts.Render(ctx, own, nil, each.options...))
		if version.Template != each.template || rendered.Text != each.template || rendered.Version.Number != version.Number {
			t.Errorf("%+v %+v", version, rendered)
		}
	}
	var numbers []string
	for _, version := range all(t, prompts.Versions(ctx, own, promptledger.WithPageSize(1))) {
		numbers = append(numbers, fmt.Sprint(version.Number))
	}
	must[*promptledger.Execution](t)(ledger.Run(ctx, own, nil, promptledger.WithLabel("production")))
	for _, version := range all(t, prompts.History(ctx, own, promptledger.WithExpectedMode(promptledger.PromptModeFull))) {
		numbers = append(numbers, fmt.Sprint(version.Number, "x", *version.ExecutionCount))
	}
	kinds := []promptledger.ChangeKind{promptledger.ChangeActivated, promptledger.ChangeLabelSet, promptledger.ChangeLabelRemoved}
	for _, change := range all(t, prompts.Changes(ctx, promptledger.ChangeFilter{Name: own, Kinds: kinds, PageSize: 2})) {
		numbers = append(numbers, string(change.Kind))
	}
	if got := strings.Join(numbers, " "); got != "2 1 2x0 1x1 label_removed label_set activated label_set activated" {
		t.Error(got)
	}
	got := must[*promptledger.Prompt](t)(prompts.Get(ctx, own, promptledger.WithMinRevision(second.Revision)))
	if got.Description != "about" || got.OwnerTeam != "shop" || got.Mode != promptledger.PromptModeFull || got.CreatedAt.IsZero() {
		t.Errorf("%+v", got)
	}
	batch := must[*promptledger.Batch](t)(prompts.BatchGet(ctx, []string{own, "nobody"}, "production"))
	if batch.Found[0].Version.Number != 1 || !slices.Equal(batch.Missing, []string{"nobody"}) {
		t.Errorf("%+v", batch)
	}
	if archived := must[*promptledger.Prompt](t)(prompts.Archive(ctx, own)); !archived.IsArchived() {
		t.Errorf("%+v", archived)
	}
	if listed := all(t, prompts.List(ctx, promptledger.PromptFilter{NamePrefix: own})); len(listed) != 0 {
		t.Error(listed)
	}
	_, err = ledger.Run(ctx, own, nil)
	wantError[*promptledger.PromptArchived](t, err)
	if back := must[*promptledger.Prompt](t)(prompts.Unarchive(ctx, own)); back.IsArchived() {
		t.Errorf("%+v", back)
	}
}

func TestDevAChatIsRenderedWithItsHistory(t *testing.T) {
	ledger, own := connectDev(t)
	ctx := t.Context()
	chat := promptledger.Chat{
		promptledger.Message{Role: "system", Content: "Be {{how}}."}, promptledger.Placeholder("history"),
		promptledger.Message{Role: "user", Content: "{{q}}"},
	}
	config := promptledger.WithConfig(promptledger.Config{Params: &promptledger.Params{Temperature: new(0.0)}})
	must[*promptledger.WrittenPrompt](t)(ledger.Prompts.Put(ctx, own, chat, config, promptledger.WithSetActive(true)))
	history := []map[string]string{{"role": "user", "content": "Hi"}}
	variables := promptledger.Vars{"how": "exact", "q": "Well?", "history": history}
	var contents []string
	for _, message := range must[*promptledger.Rendered](t)(ledger.Prompts.Render(ctx, own, variables)).Messages {
		contents = append(contents, message.Content)
	}
	if !slices.Equal(contents, []string{"Be exact.", "Hi", "Well?"}) {
		t.Error(contents)
	}
	got := must[*promptledger.Prompt](t)(ledger.Prompts.Get(ctx, own)).Version
	if !reflect.DeepEqual(got.Chat(), chat) || *got.Config().Params.Temperature != 0 {
		t.Error(got.Chat(), got.Config())
	}
	draft := must[*promptledger.Rendered](t)(
		ledger.Prompts.RenderDraft(ctx, promptledger.Template("Hi {{name}}"), promptledger.Vars{"name": "Ada"}, config))
	if draft.Text != "Hi Ada" || draft.Version != nil || draft.Truncated {
		t.Errorf("%+v", draft)
	}
	if draft := must[*promptledger.Rendered](t)(ledger.Prompts.RenderDraft(ctx, chat, variables)); len(draft.Messages) != 3 {
		t.Errorf("%+v", draft)
	}
}

func TestDevWhatIsMissingAndWhatIsInTheWrongModeIsTold(t *testing.T) {
	ledger, own := connectDev(t)
	put(t, ledger, own, "{{user.name}} at {{company}}", promptledger.WithSetActive(true))
	_, err := ledger.Run(t.Context(), own, promptledger.Vars{"user": map[string]any{}})
	if missing := wantError[*promptledger.VariablesMissing](t, err).Missing(); !slices.Equal(missing,
		[]string{"company", "user.name"}) {
		t.Error(missing)
	}
	_, err = ledger.Execute(t.Context(), own, nil)
	if mode := wantError[*promptledger.ModeMismatch](t, err).Metadata["mode"]; mode != "full" {
		t.Error(mode)
	}
	_, err = ledger.Prompts.Get(t.Context(), "nobody")
	wantError[*promptledger.PromptNotFound](t, err)
	wantError[*promptledger.NotFound](t, err)
}

func TestDevASubmittedExecutionIsWatchedToItsEnd(t *testing.T) {
	ledger, own := connectDev(t)
	ctx := inTime(t)
	put(t, ledger, own, "Hi {{name}}", promptledger.WithSetActive(true))
	submit := func(name string) (*promptledger.Handle, error) {
		return ledger.Submit(ctx, own, promptledger.Vars{"name": name}, promptledger.WithStreamText(),
			promptledger.WithIdempotencyKey("order-1"))
	}
	handle := must[*promptledger.Handle](t)(submit("Ada"))
	result := must[*promptledger.Execution](t)(handle.Result(ctx))
	if result.Status != promptledger.StatusSucceeded || result.Mode != promptledger.ModeAsync {
		t.Errorf("%+v", result)
	}
	again := must[*promptledger.Handle](t)(submit("Ada"))
	if again.ID != handle.ID || !again.Reused || again.Status != promptledger.StatusSucceeded {
		t.Errorf("%+v", again)
	}
	_, err := submit("Bob")
	if found := wantError[*promptledger.IdempotencyKeyReused](t, err).ExecutionID(); found != handle.ID {
		t.Error(found)
	}
	updates := handle.Watch(ctx, promptledger.WithAfterSequence(1))
	if got := told(t, updates); updates.Text() != result.Text || !strings.HasPrefix(got, "2 | ") ||
		!strings.HasSuffix(got, "3 | ended succeeded") {
		t.Error(got)
	}
	_, err = handle.Cancel(ctx, "too late")
	wantError[*promptledger.ExecutionFinished](t, err)
}

func TestDevAnExecutionIsCanceled(t *testing.T) {
	ledger, own := connectDev(t)
	put(t, ledger, own, "Hi", promptledger.WithSetActive(true))
	// It would take 25 s.
	long := []promptledger.RunOption{promptledger.WithModel("echo/long"), promptledger.WithStreamText()}
	handle := must[*promptledger.Handle](t)(ledger.Submit(t.Context(), own, nil, long...))
	canceled := must[*promptledger.Execution](t)(handle.Cancel(t.Context(), "not needed"))
	if canceled.CancelReason != "not needed" {
		t.Errorf("%+v", canceled)
	}
	result := must[*promptledger.Execution](t)(handle.Result(inTime(t)))
	if err := wantError[*promptledger.ExecutionFailed](t, result.Err()); err.Execution.Status != promptledger.StatusCanceled {
		t.Error(err)
	}
}

func TestDevAStreamAndATail(t *testing.T) {
	ledger, own := connectDev(t)
	put(t, ledger, own, "Hi {{name}}", promptledger.WithSetActive(true))
	tail := ledger.Tail(inTime(t), promptledger.TailFilter{PromptName: own, Since: time.Now()})
	defer tail.Close()
	if update := must[promptledger.TailUpdate](t)(tail.Next(inTime(t))); update != (promptledger.Synced{}) {
		t.Error(update)
	}
	stream := ledger.Stream(t.Context(), own, promptledger.Vars{"name": "Ada"})
	text := strings.Join(all(t, stream.Texts()), "")
	result := must[*promptledger.Execution](t)(stream.Result(t.Context()))
	if text != result.Text || text != stream.Text() || text == "" {
		t.Error(text, result.Text)
	}
	for _, status := range []promptledger.Status{promptledger.StatusRunning, promptledger.StatusSucceeded} {
		change := must[promptledger.TailUpdate](t)(tail.Next(inTime(t))).(promptledger.Changed)
		if change.ExecutionID != result.ID || change.To != status || change.PromptName != own {
			t.Errorf("%+v", change)
		}
	}
}

//go:embed testdata/prompts
var embedded embed.FS

func TestDevPromptsOfCode(t *testing.T) {
	ledger, own := connectDev(t)
	ctx := t.Context()
	registration := must[*promptledger.Registration](t)(ledger.RegisterCodePrompts(ctx,
		promptledger.CodeTexts{own: "Hello {{name}}"}, promptledger.WithSource("shop", "4f2a9c1")))
	if one := registration.Registered[0]; one.Action != promptledger.ActionNew || one.Version != 1 ||
		!registration.Changed() || registration.Diff != "" {
		t.Errorf("%+v", registration)
	}
	dry := must[*promptledger.Registration](t)(
		ledger.RegisterCodePrompts(ctx, promptledger.CodeTexts{own: "Bye {{name}}"}, promptledger.WithDryRun()))
	if dry.ExitCode() != 1 || !strings.Contains(dry.Diff, "-Hello {{name}}") || !strings.Contains(dry.Diff, "+Bye {{name}}") {
		t.Error(dry.Diff)
	}
	same := must[*promptledger.Registration](t)(
		ledger.RegisterCodePrompts(ctx, promptledger.CodeTexts{own: "Hello {{name}}"}, promptledger.WithDryRun()))
	if same.ExitCode() != 0 || same.Diff != "" {
		t.Error(same.Diff)
	}
	// Another release registers another text meanwhile.
	other, _ := connectDev(t)
	must[*promptledger.Registration](t)(other.RegisterCodePrompts(ctx, promptledger.CodePrompts{{
		Name: own, Content: promptledger.Template("Good day {{name}}"), Description: new("about"), Labels: []string{"next"},
	}}))
	variables := promptledger.Vars{"name": "Ada"}
	executed := must[*promptledger.Execution](t)(ledger.Execute(ctx, own, variables))
	streamed := must[*promptledger.Execution](t)(ledger.Stream(ctx, own, variables).Result(ctx))
	for _, execution := range []*promptledger.Execution{executed, streamed} {
		if execution.VersionNumber != 1 || execution.RenderedPrompt != "Hello Ada" {
			t.Errorf("%+v", execution)
		}
	}
}

func TestDevPromptsOfAFolder(t *testing.T) {
	ledger := ledgertest.Server(t).Connect(t)
	folder := must[fs.FS](t)(fs.Sub(embedded, "testdata/prompts"))
	for i, source := range []promptledger.CodeSource{promptledger.CodeFS(folder), promptledger.CodeFolder("testdata/prompts")} {
		registration := must[*promptledger.Registration](t)(ledger.RegisterCodePrompts(t.Context(), source))
		var names []string
		for _, prompt := range registration.Registered {
			names = append(names, prompt.Name)
		}
		if !slices.Equal(names, []string{"shop.greeting", "summary"}) || registration.Changed() != (i == 0) {
			t.Errorf("%+v", registration)
		}
	}
	version := must[*promptledger.PromptVersion](t)(ledger.Prompts.Version(t.Context(), "summary"))
	if version.TemplateFormat != promptledger.FormatOpaque || version.Raw.Source.Path != "summary.j2" {
		t.Errorf("%+v", version)
	}
	if _, err := ledger.RegisterCodePrompts(t.Context(), promptledger.CodeFolder("nowhere")); err == nil {
		t.Error("there is no such folder")
	}
}

func TestDevACacheFollowsWrites(t *testing.T) {
	ledger, own := connectDev(t)
	put(t, ledger, own, "one", promptledger.WithSetActive(true))
	cache := openCache(t, ledger, promptledger.WithNamePrefix(own))
	if got := number(cache, own, ""); got != 1 {
		t.Error(got)
	}
	written := put(t, ledger, own, "two", promptledger.WithSetActive(true), promptledger.WithLabels("production"))
	reached(t, cache, written.Revision)
	if version, ok := cache.Get(own, "production"); !ok || version.Template != "two" || number(cache, own, "") != 2 {
		t.Error(version)
	}
}
