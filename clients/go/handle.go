package promptledger

import (
	"context"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Handle is an execution that is under way, or was.
type Handle struct {
	ID string
	// Status and Reused are as Submit was answered. Empty where the handle is of a known id.
	Status Status
	Reused bool

	client *Client
}

// Watch tells what happens to it, until ctx ends.
func (h *Handle) Watch(ctx context.Context, options ...WatchOption) *Updates {
	return h.client.Watch(ctx, h.ID, options...)
}

// Result waits for its end, at most until ctx ends.
func (h *Handle) Result(ctx context.Context) (*Execution, error) {
	updates := h.Watch(ctx)
	defer updates.Close()
	return updates.Result(ctx)
}

// Get returns it as it is now.
func (h *Handle) Get(ctx context.Context) (*Execution, error) {
	request := &pb.GetExecutionRequest{ExecutionId: h.ID}
	answer, err := call(ctx, h.client.transport, "GetExecution", h.client.Raw.Executions.GetExecution, request, freely)
	if err != nil {
		return nil, err
	}
	return readExecution(answer.GetExecution()), nil
}

// Cancel asks to cancel it. It may have to be watched to learn how it ends.
func (h *Handle) Cancel(ctx context.Context, reason string) (*Execution, error) {
	request := &pb.CancelExecutionRequest{ExecutionId: h.ID, Reason: reason}
	answer, err := call(ctx, h.client.transport, "CancelExecution", h.client.Raw.Executions.CancelExecution, request, freely)
	if err != nil {
		return nil, err
	}
	return readExecution(answer.GetExecution()), nil
}
