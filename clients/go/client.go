package promptledger

import (
	"context"
	"iter"
	"time"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Client is a client of one ledger. Goroutines may share it; it connects with the first call, and again when the connection breaks.
type Client struct {
	// Prompts are the registry's calls.
	Prompts *Prompts
	// Raw are the generated stubs over the same connection.
	Raw *Raw

	transport *transport
	code      codeHashes
}

// Connect returns a client of the server that the options name, or else of the one that the environment or the file of profiles
// names, or else of `prompt-ledger dev` on this machine. It does not wait for a connection. Options that cannot be used are
// [InvalidOptions].
func Connect(options ...Option) (*Client, error) {
	checked, err := settingsOf(options)
	if err != nil {
		return nil, err
	}
	t, err := newTransport(checked)
	if err != nil {
		return nil, err
	}
	return &Client{
		Prompts:   &Prompts{transport: t},
		Raw:       t.raw,
		transport: t,
		code:      codeHashes{trackingOnly: checked.trackingOnly},
	}, nil
}

// Close ends all calls, watches and caches. Nothing can be called afterwards.
func (c *Client) Close() error { return c.transport.close() }

// String tells the server alone.
func (c *Client) String() string { return "promptledger.Client(" + c.transport.server + ")" }

// GoString hides the key.
func (c *Client) GoString() string { return c.String() }

// Run executes a prompt within the call. A failed execution is a result: [Execution.Err] makes it an error.
//
// It takes as long as the provider's timeout (120 s) for each attempt allowed, the delays between them, and 10 s. Without an
// idempotency key it is repeated only where the server had not begun, since with one hanging up would no longer end the call
// that is paid for.
func (c *Client) Run(ctx context.Context, prompt string, variables Vars, options ...RunOption) (*Execution, error) {
	run, err := newSpec(prompt, variables, options)
	if err != nil {
		return nil, err
	}
	return c.run(ctx, run, c.code.prepare(run.spec))
}

// Execute executes a prompt that is in code within the call: the text that this client registered, where it did.
func (c *Client) Execute(ctx context.Context, prompt string, variables Vars, options ...RunOption) (*Execution, error) {
	run, err := newSpec(prompt, variables, options)
	if err != nil {
		return nil, err
	}
	c.code.prepare(run.spec)
	return c.run(ctx, run, true)
}

func (c *Client) run(ctx context.Context, run runSpec, tracking bool) (*Execution, error) {
	limits := policy{freely: run.spec.IdempotencyKey != "", limit: run.limit}
	if limits.limit == 0 {
		limits.limit = specDeadline(run.spec)
	}
	if tracking {
		request := &pb.ExecuteCodePromptRequest{Spec: run.spec, Mode: pb.ExecutionMode_EXECUTION_MODE_SYNC}
		answer, err := call(ctx, c.transport, "ExecuteCodePrompt", c.Raw.Code.ExecuteCodePrompt, request, limits)
		if err != nil {
			return nil, err
		}
		return executed(answer.GetExecution(), answer.GetReused()), nil
	}
	request := &pb.RunExecutionRequest{Spec: run.spec}
	answer, err := call(ctx, c.transport, "RunExecution", c.Raw.Executions.RunExecution, request, limits)
	if err != nil {
		return nil, err
	}
	return executed(answer.GetExecution(), answer.GetReused()), nil
}

func executed(raw *pb.Execution, reused bool) *Execution {
	execution := readExecution(raw)
	execution.Reused = reused
	return execution
}

// Stream executes a prompt and tells what happens, until ctx ends. Without an idempotency key, to close the updates is to cancel
// the execution.
func (c *Client) Stream(ctx context.Context, prompt string, variables Vars, options ...RunOption) *Updates {
	run, err := newSpec(prompt, variables, options)
	if err != nil {
		return &Updates{following: failedToStart[*pb.ExecutionEvent, Update](err)}
	}
	return c.follow(ctx, followSpec(run.spec, c.code.prepare(run.spec)))
}

// Submit hands an execution over to a worker. Where no idempotency key is given it gets one, so that repeats are safe.
func (c *Client) Submit(ctx context.Context, prompt string, variables Vars, options ...RunOption) (*Handle, error) {
	run, err := newSpec(prompt, variables, options)
	if err != nil {
		return nil, err
	}
	if run.spec.IdempotencyKey == "" {
		run.spec.IdempotencyKey = newUUID(time.Now())
	}
	limits := policy{freely: true, limit: run.limit}
	if c.code.prepare(run.spec) {
		request := &pb.ExecuteCodePromptRequest{Spec: run.spec, Mode: pb.ExecutionMode_EXECUTION_MODE_ASYNC}
		answer, err := call(ctx, c.transport, "ExecuteCodePrompt", c.Raw.Code.ExecuteCodePrompt, request, limits)
		if err != nil {
			return nil, err
		}
		execution := answer.GetExecution()
		return c.handle(execution.GetExecutionId(), execution.GetStatus(), answer.GetReused()), nil
	}
	request := &pb.SubmitExecutionRequest{Spec: run.spec}
	answer, err := call(ctx, c.transport, "SubmitExecution", c.Raw.Executions.SubmitExecution, request, limits)
	if err != nil {
		return nil, err
	}
	return c.handle(answer.GetExecutionId(), answer.GetStatus(), answer.GetReused()), nil
}

func (c *Client) handle(id string, status pb.ExecutionStatus, reused bool) *Handle {
	return &Handle{ID: id, Status: statusWords.of(status), Reused: reused, client: c}
}

// Handle returns a handle of an execution that is known by its id.
func (c *Client) Handle(executionID string) *Handle { return &Handle{ID: executionID, client: c} }

// Watch tells what happens to an execution, until ctx ends.
func (c *Client) Watch(ctx context.Context, executionID string, options ...WatchOption) *Updates {
	var after int64
	for _, option := range options {
		option(&after)
	}
	return c.follow(ctx, followExecution(executionID, after))
}

// WatchOption is an option of [Client.Watch] and [Handle.Watch].
type WatchOption func(after *int64)

// WithAfterSequence begins after the state change of that number.
func WithAfterSequence(sequence int64) WatchOption {
	return func(after *int64) { *after = sequence }
}

func (c *Client) follow(ctx context.Context, f *follower) *Updates {
	following := follow(ctx, c.transport, openEvents, reader[*pb.ExecutionEvent, Update](f), c.transport.patience)
	return &Updates{following: following, executionID: f.executionID}
}

// Tail tells what happens to all executions that match, until ctx ends.
func (c *Client) Tail(ctx context.Context, filter TailFilter) *Tail {
	request, err := filter.request()
	if err != nil {
		return &Tail{failedToStart[*pb.ExecutionEvent, TailUpdate](err)}
	}
	tailing := reader[*pb.ExecutionEvent, TailUpdate](tailExecutions(request))
	return &Tail{follow(ctx, c.transport, openEvents, tailing, c.transport.patience)}
}

// Executions yields the executions that match, the newest first; without their texts, but with Full.
func (c *Client) Executions(ctx context.Context, filter ExecutionFilter) iter.Seq2[*Execution, error] {
	request, err := filter.request()
	if err != nil {
		return onlyError[*Execution](err)
	}
	return pages(func(token string) ([]*Execution, string, error) {
		request.PageToken = token
		answer, err := call(ctx, c.transport, "ListExecutions", c.Raw.Executions.ListExecutions, request, freely)
		return readAll(answer.GetExecutions(), readExecution), answer.GetNextPageToken(), err
	})
}

func readAll[Raw, T any](raw []Raw, read func(Raw) T) []T {
	all := make([]T, len(raw))
	for i, each := range raw {
		all[i] = read(each)
	}
	return all
}
