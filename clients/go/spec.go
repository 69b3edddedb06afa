package promptledger

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// As the server's defaults: how long a provider call may take, and the delays before each retry.
const providerTimeout = 120 * time.Second

var retryDelays = []time.Duration{5 * time.Second, 30 * time.Second, 120 * time.Second}

const (
	// For everything but provider calls and delays.
	deadlineMargin = 10 * time.Second
	// What is beyond these the server refuses: the deadline grows no more. Both together are far below the longest Duration.
	mostRetries            = 1_000
	longestProviderTimeout = 1_000 * time.Hour
)

// runSpec is what to execute, and how long the call may take.
type runSpec struct {
	spec *pb.ExecutionSpec
	// 0: what follows from the spec, or of calls that do not wait for the end, the client's timeout.
	limit time.Duration
	// The first option that cannot be sent.
	err error
}

// newSpec returns the spec for these options. Nil variables are not sent, as where ready messages are.
func newSpec(prompt string, variables Vars, options []RunOption) (runSpec, error) {
	result := runSpec{spec: &pb.ExecutionSpec{PromptName: prompt}}
	for _, option := range options {
		option.applyRun(&result)
	}
	if variables != nil {
		values, err := asStruct(variables, "variables")
		result.fail(err)
		result.spec.Variables = values
	}
	return result, result.err
}

func (r *runSpec) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// specDeadline returns how long a call may take that executes within it: all its attempts, and the delays between them.
func specDeadline(spec *pb.ExecutionSpec) time.Duration {
	once := spec.GetTimeout().AsDuration()
	if once <= 0 {
		// None, or one that the server refuses.
		once = providerTimeout
	}
	once = min(once, longestProviderTimeout)
	retries := min(max(int(spec.GetMaxRetries()), 0), mostRetries)
	limit := once*time.Duration(retries+1) + deadlineMargin
	for i := range retries {
		// Each further retry waits as long as the last of these.
		limit += retryDelays[min(i, len(retryDelays)-1)]
	}
	return limit
}

// RunOption is an option of [Client.Run], [Client.Execute], [Client.Stream] and [Client.Submit].
type RunOption interface{ applyRun(*runSpec) }

type runOption func(*runSpec)

func (o runOption) applyRun(r *runSpec) { o(r) }

func specOption(set func(*pb.ExecutionSpec)) RunOption {
	return runOption(func(r *runSpec) { set(r.spec) })
}

// WithEnvironment is for reports: "dev", "staging", "prod". It never selects a version.
func WithEnvironment(name string) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.Environment = name })
}

// WithMessages sends ready messages instead of a rendered template; for prompts in code only.
func WithMessages(messages ...Message) RunOption {
	return specOption(func(s *pb.ExecutionSpec) {
		for _, message := range messages {
			s.Messages = append(s.Messages, message.message())
		}
	})
}

// WithModel names the model, "provider/model_name", instead of that of the version.
func WithModel(model string) RunOption {
	return runOption(func(r *runSpec) {
		ref, err := modelMessage(model, "model")
		r.fail(err)
		r.spec.Model = ref
	})
}

// WithParams are parameters for the model. They win over those of the version.
func WithParams(params Params) RunOption {
	return runOption(func(r *runSpec) {
		message, err := params.message("params")
		r.fail(err)
		r.spec.Params = message
	})
}

// WithTools are tools instead of those of the version.
func WithTools(tools ...Tool) RunOption {
	return runOption(func(r *runSpec) {
		messages, err := toolMessages(tools, "tools")
		r.fail(err)
		r.spec.Tools = messages
	})
}

// WithToolChoice says which tools the model is to call.
func WithToolChoice(choice ToolChoice) RunOption {
	return runOption(func(r *runSpec) {
		message, err := choice.message("tool_choice")
		r.fail(err)
		r.spec.ToolChoice = message
	})
}

// WithResponseFormat is the form of the answer.
func WithResponseFormat(format ResponseFormat) RunOption {
	return runOption(func(r *runSpec) {
		message, err := format.message("response_format")
		r.fail(err)
		r.spec.ResponseFormat = message
	})
}

// Without leaves out parts of the version's config: "model", "params", "params.temperature", "tools" and so on.
func Without(paths ...string) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.Without = append(s.Without, paths...) })
}

// WithCorrelationID is yours, to find executions that belong together; at most 255 bytes.
func WithCorrelationID(id string) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.CorrelationId = id })
}

// WithMetadata is yours, to find executions by.
func WithMetadata(metadata map[string]string) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.Metadata = metadata })
}

// WithIdempotencyKey makes the call safe to repeat: the same key with the same request answers the execution that exists.
func WithIdempotencyKey(key string) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.IdempotencyKey = key })
}

// WithRetryFailed executes again where the execution that has the key has failed.
func WithRetryFailed() RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.RetryFailed = true })
}

// WithProviderTimeout bounds each call of the provider, 120 s by default.
func WithProviderTimeout(timeout time.Duration) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.Timeout = durationpb.New(timeout) })
}

// WithExpireAfter bounds the whole life of the execution, queue and retries included.
func WithExpireAfter(after time.Duration) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.ExpireAfter = durationpb.New(after) })
}

// WithMaxRetries says how often to try again after a failure that may pass.
func WithMaxRetries(retries int) RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.MaxRetries = new(asInt32(retries)) })
}

// WithStreamText lets watchers see the text while the model writes it. A stream has it in any case.
func WithStreamText() RunOption {
	return specOption(func(s *pb.ExecutionSpec) { s.StreamText = new(true) })
}

// WithCallTimeout bounds the call itself, instead of what follows from the provider's timeout and the retries. The context's
// deadline counts too, where it is earlier. It has no effect on a stream.
func WithCallTimeout(timeout time.Duration) RunOption {
	return runOption(func(r *runSpec) { r.limit = timeout })
}
