package promptledger

import (
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// What calls answer about executions. Raw is the message that each was read from.

// Execution is one execution. A failed one is a result like any other; [Execution.Err] makes it an error.
type Execution struct {
	ID            string
	PromptName    string
	VersionNumber int
	Status        Status
	Mode          ExecutionMode
	// Text is what the model answered; of one that did not succeed, what there was until then.
	Text         string
	ToolCalls    []ToolCall
	FinishReason string
	// ErrorType says in a word why it failed, ErrorMessage in a sentence. Empty: it did not.
	ErrorType      string
	ErrorMessage   string
	CancelReason   string
	Attempts       int
	Label          string
	ChecksumHash   string
	CorrelationID  string
	IdempotencyKey string
	RenderedPrompt string
	// Absent: not known.
	PromptTokens   *int32
	ResponseTokens *int32
	LatencyMS      *int32
	CostNanoUSD    *int64
	CreatedAt      time.Time
	// CompletedAt is zero while it has not ended.
	CompletedAt time.Time
	// Reused says whether the idempotency key found it.
	Reused bool
	Raw    *pb.Execution
}

func readExecution(raw *pb.Execution) *Execution {
	return &Execution{
		ID:             raw.GetExecutionId(),
		PromptName:     raw.GetPromptName(),
		VersionNumber:  int(raw.GetVersionNumber()),
		Status:         statusWords.of(raw.GetStatus()),
		Mode:           executionModeWords.of(raw.GetMode()),
		Text:           raw.GetResponseText(),
		ToolCalls:      readToolCalls(raw.GetResponseToolCalls()),
		FinishReason:   raw.GetFinishReason(),
		ErrorType:      raw.GetErrorType(),
		ErrorMessage:   raw.GetErrorMessage(),
		CancelReason:   raw.GetCancelReason(),
		Attempts:       int(raw.GetAttempts()),
		Label:          raw.GetLabel(),
		ChecksumHash:   raw.GetChecksumHash(),
		CorrelationID:  raw.GetCorrelationId(),
		IdempotencyKey: raw.GetIdempotencyKey(),
		RenderedPrompt: raw.GetRenderedPrompt(),
		PromptTokens:   raw.PromptTokens,
		ResponseTokens: raw.ResponseTokens,
		LatencyMS:      raw.LatencyMs,
		CostNanoUSD:    raw.CostNanoUsd,
		CreatedAt:      asTime(raw.GetCreatedAt()),
		CompletedAt:    asTime(raw.GetCompletedAt()),
		Raw:            raw,
	}
}

// Err returns an [ExecutionFailed] where the execution has failed or was canceled. It is what raise_for_status is elsewhere.
func (e *Execution) Err() error {
	if e.Status != StatusFailed && e.Status != StatusCanceled {
		return nil
	}
	message := "execution " + e.ID + " " + string(e.Status)
	for _, why := range []string{e.ErrorMessage, e.ErrorType, e.CancelReason} {
		if why != "" {
			message += ": " + why
			break
		}
	}
	return &ExecutionFailed{ClientError: clientError(codes.Unknown, "%s", message), Execution: e}
}

// ToolCall is a model's wish to have a tool called; Arguments as the model wrote them, mostly a JSON text.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string
}

func readToolCalls(raw []*pb.ToolCall) []ToolCall {
	if len(raw) == 0 {
		return nil
	}
	calls := make([]ToolCall, len(raw))
	for i, call := range raw {
		calls[i] = ToolCall{ID: call.GetId(), Name: call.GetName(), Arguments: call.GetArguments()}
	}
	return calls
}
