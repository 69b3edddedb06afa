package promptledger

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func equalJSON(t *testing.T, got proto.Message, expected string) {
	t.Helper()
	want := got.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal([]byte(expected), want); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("%v is not %s", got, expected)
	}
}

func TestAConfigIsWrittenWhole(t *testing.T) {
	config := Config{
		Model: "openai/gpt-4o-mini",
		Params: &Params{
			Temperature: new(0.0), TopK: new(int32(5)), MaxNewTokens: new(int32(9)), Stop: []string{}, Seed: new(int64(1)),
			ReasoningEffort: new("low"), Extra: map[string]any{"a": 1},
		},
		Tools: []Tool{
			{Name: "weather", Description: "looks it up", Parameters: map[string]any{"type": "object"}, Strict: true},
			{Name: "time", Parameters: `{"type": "object"}`},
			{Name: "place", Parameters: json.RawMessage(`{}`)},
			{Name: "now"},
		},
		ToolChoice:     &ToolChoice{Mode: ToolsRequired, Parallel: new(false)},
		ResponseFormat: &ResponseFormat{Name: "answer", Schema: map[string]any{"type": "object"}, Strict: true},
		Custom:         map[string]any{"owner": "me"},
	}
	message, err := config.message()
	if err != nil {
		t.Fatal(err)
	}
	equalJSON(t, message, `{
		"model": {"provider": "openai", "model_name": "gpt-4o-mini"},
		"params": {"temperature": 0, "top_k": 5, "max_new_tokens": 9, "stop": {}, "seed": 1, "reasoning_effort": "low",
			"extra": {"a": 1}},
		"tools": [
			{"name": "weather", "description": "looks it up", "parameters_json": "{\"type\":\"object\"}", "strict": true},
			{"name": "time", "parameters_json": "{\"type\": \"object\"}"}, {"name": "place", "parameters_json": "{}"},
				{"name": "now"}
		],
		"tool_choice": {"mode": "TOOL_CHOICE_MODE_REQUIRED", "parallel": false},
		"response_format": {"json_schema": {"name": "answer", "schema_json": "{\"type\":\"object\"}", "strict": true}},
		"custom": {"owner": "me"}
	}`)
}

func TestAConfigIsReadAsItIsWritten(t *testing.T) {
	for _, config := range []Config{
		{},
		{Model: "openai/gpt/4o", ToolChoice: &ToolChoice{Name: "weather"}, ResponseFormat: new(JSONObject())},
		{
			Params: &Params{
				Temperature: new(0.0), TopK: new(int32(5)), TopP: new(0.5), RepetitionPenalty: new(1.5), MaxNewTokens: new(int32(9)),
				Stop: []string{}, Seed: new(int64(1)), FrequencyPenalty: new(0.1), PresencePenalty: new(0.2), ReasoningEffort: new("low"),
				Extra: map[string]any{"a": 1.0},
			},
			Tools: []Tool{
				{Name: "weather", Description: "looks it up", Parameters: json.RawMessage(`{"type": "object"}`), Strict: true}, {Name: "now"},
			},
			ToolChoice:     &ToolChoice{Mode: ToolsAuto, Parallel: new(true)},
			ResponseFormat: &ResponseFormat{Name: "answer", Schema: json.RawMessage(`{}`), Strict: true},
			Custom:         map[string]any{"owner": []any{"me", nil}},
		},
		{Params: &Params{Stop: []string{"."}}},
	} {
		message, err := config.message()
		if err != nil {
			t.Fatal(err)
		}
		if got := readVersion(&pb.PromptVersion{Config: message}).Config(); !reflect.DeepEqual(*got, config) {
			t.Errorf("%+v is not %+v", *got, config)
		}
	}
	if got := readVersion(&pb.PromptVersion{}).Config(); got != nil {
		t.Error(got)
	}
}

func TestWhatOfAConfigCannotBeSentIsNamed(t *testing.T) {
	nan := map[string]any{"x": math.NaN()}
	for field, config := range map[string]Config{
		"config.model":                  {Model: "gpt"},
		"config.params.extra.x":         {Params: &Params{Extra: nan}},
		"config.tools[0].parameters":    {Tools: []Tool{{Parameters: nan}}},
		"config.tool_choice.mode":       {ToolChoice: &ToolChoice{Mode: "maybe"}},
		"config.response_format.schema": {ResponseFormat: &ResponseFormat{Schema: nan}},
		"config.custom.x":               {Custom: nan},
	} {
		_, err := config.message()
		if invalid, ok := errors.AsType[*InvalidField](err); !ok || invalid.Fields[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestAChatIsReadAsItIsWritten(t *testing.T) {
	chat := Chat{
		Message{Role: "system", Content: "Be {{how}}."},
		Placeholder("history"),
		Message{Role: "user", Name: "ada", Parts: []Part{
			TextPart("look"), ImagePart{URL: "https://example.com/a.png", Detail: "low"}, ImagePart{Data: []byte{1},
				MediaType: "image/png"},
		}},
		Message{Role: "assistant", ToolCalls: []ToolCall{{ID: "c1", Name: "weather", Arguments: "{}"}}},
		Message{Role: "tool", ToolCallID: "c1", Content: "rain"},
	}
	version := readVersion(&pb.PromptVersion{Template: &pb.PromptVersion_ChatTemplate{ChatTemplate: chat.message()}})
	if got := version.Chat(); !reflect.DeepEqual(got, chat) {
		t.Errorf("%+v", got)
	}
	if got := readVersion(&pb.PromptVersion{}).Chat(); got != nil {
		t.Errorf("%+v", got)
	}
}

func TestASpecHasWhatItsOptionsSay(t *testing.T) {
	run, err := newSpec("greet", Vars{"name": "Ada"}, []RunOption{
		WithLabel("production"), WithEnvironment("prod"), WithModel("echo/echo"), WithParams(Params{TopP: new(0.5)}),
		WithTools(Tool{Name: "now"}), WithToolChoice(ToolChoice{Name: "now"}), WithResponseFormat(JSONObject()),
		Without("params", "tools"),
		WithCorrelationID("c1"), WithMetadata(map[string]string{"user": "u1"}), WithIdempotencyKey("k"), WithRetryFailed(),
		WithProviderTimeout(2e9), WithExpireAfter(60e9), WithMaxRetries(0), WithStreamText(), WithMinRevision(7),
		WithCallTimeout(5e9),
		WithMessages(Message{Role: "user", Content: "Hi"}),
	})
	if err != nil || run.limit != 5e9 {
		t.Fatal(run.limit, err)
	}
	equalJSON(t, run.spec, `{
		"prompt_name": "greet", "variables": {"name": "Ada"}, "label": "production", "environment": "prod",
		"model": {"provider": "echo", "model_name": "echo"}, "params": {"top_p": 0.5}, "tools": [{"name": "now"}],
		"tool_choice": {"name": "now"}, "response_format": {"json_object": {}}, "without": ["params", "tools"],
		"correlation_id": "c1", "metadata": {"user": "u1"}, "idempotency_key": "k", "retry_failed": true, "timeout": "2s",
		"expire_after": "60s", "max_retries": 0, "stream_text": true, "min_revision": "7",
		"messages": [{"role": "user", "content": "Hi"}]
	}`)
}

func TestWhatOfASpecCannotBeSentIsNamed(t *testing.T) {
	nan := map[string]any{"x": math.NaN()}
	for field, options := range map[string][]RunOption{
		"model":                  {WithModel("gpt")},
		"params.extra.x":         {WithParams(Params{Extra: nan}), WithModel("gpt")},
		"tools[0].parameters":    {WithTools(Tool{Parameters: nan})},
		"tool_choice.mode":       {WithToolChoice(ToolChoice{Mode: "maybe"})},
		"response_format.schema": {WithResponseFormat(ResponseFormat{Schema: nan})},
	} {
		_, err := newSpec("greet", nil, options)
		if invalid, ok := errors.AsType[*InvalidField](err); !ok || invalid.Fields[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := newSpec("greet", nil, []RunOption{WithVersion(1), WithChecksumHash("ab")})
	if _, ok := errors.AsType[*InvalidArgument](err); !ok {
		t.Error(err)
	}
	_, err = selectVersion([]VersionOption{WithVersion(1), WithLabel("production")})
	if _, ok := errors.AsType[*InvalidArgument](err); !ok {
		t.Error(err)
	}
}

func TestTheDeadlineOfASpecCoversItsAttempts(t *testing.T) {
	for _, each := range []struct {
		options []RunOption
		seconds float64
	}{
		{nil, 130},
		{[]RunOption{WithProviderTimeout(2e9), WithMaxRetries(1)}, 2*2 + 5 + 10},
		{[]RunOption{WithMaxRetries(3)}, 4*120 + 155 + 10},
		{[]RunOption{WithProviderTimeout(1e9), WithMaxRetries(5)}, 6 + 155 + 240 + 10},
		{[]RunOption{WithMaxRetries(-1)}, 130},
		{[]RunOption{WithMaxRetries(math.MaxInt)}, 1001*120 + 35 + 998*120 + 10},
		{[]RunOption{WithProviderTimeout(math.MaxInt64)}, longestProviderTimeout.Seconds() + 10},
		{[]RunOption{WithProviderTimeout(math.MaxInt64), WithMaxRetries(math.MaxInt)}, 1001*3_600_000 + 35 + 998*120 + 10},
		{[]RunOption{WithProviderTimeout(-60e9)}, 130},
		{[]RunOption{WithProviderTimeout(0), WithMaxRetries(1)}, 2*120 + 5 + 10},
	} {
		run, err := newSpec("greet", nil, each.options)
		if limit := specDeadline(run.spec).Seconds(); err != nil || limit != each.seconds {
			t.Error(limit, each.seconds, err)
		}
	}
}
