package main

import (
	"strings"

	"google.golang.org/grpc/codes"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

// word is null where it is empty.
func word[W ~string](value W) any {
	if value == "" {
		return nil
	}
	return strings.ToUpper(string(value))
}

// codeName writes NOT_FOUND for NotFound.
func codeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var name strings.Builder
	for i, letter := range code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

func seenExecution(found *promptledger.Execution) object {
	calls := []object{}
	for _, call := range found.ToolCalls {
		calls = append(calls, object{"id": call.ID, "name": call.Name, "arguments": call.Arguments})
	}
	return object{
		"execution_id":    found.ID,
		"status":          word(found.Status),
		"mode":            word(found.Mode),
		"prompt_name":     found.PromptName,
		"version_number":  found.VersionNumber,
		"checksum_hash":   found.ChecksumHash,
		"label":           found.Label,
		"text":            found.Text,
		"tool_calls":      calls,
		"finish_reason":   found.FinishReason,
		"error_type":      found.ErrorType,
		"error_message":   found.ErrorMessage,
		"attempts":        found.Attempts,
		"cancel_reason":   found.CancelReason,
		"correlation_id":  found.CorrelationID,
		"idempotency_key": found.IdempotencyKey,
		"rendered_prompt": found.RenderedPrompt,
		"reused":          found.Reused,
	}
}

func seenPrompt(found *promptledger.Prompt) object {
	seen := object{
		"name":           found.Name,
		"mode":           word(found.Mode),
		"description":    found.Description,
		"owner_team":     found.OwnerTeam,
		"tags":           found.Tags,
		"active_version": found.ActiveVersion,
		"latest_version": found.LatestVersion,
		"labels":         found.Labels,
		"archived":       found.IsArchived(),
	}
	if found.Version != nil {
		seen["template"], seen["checksum_hash"] = found.Version.Template, found.Version.ChecksumHash
	}
	return seen
}

func seenVersion(found *promptledger.PromptVersion) object {
	return object{
		"version":         found.Number,
		"status":          word(found.Status),
		"template":        found.Template,
		"checksum_hash":   found.ChecksumHash,
		"labels":          found.Labels,
		"execution_count": found.ExecutionCount,
	}
}

func seenChange(found *promptledger.PromptChange) object {
	return object{
		"name":    found.PromptName,
		"kind":    word(found.Kind),
		"version": found.VersionNumber,
		"label":   found.Label,
		"from":    found.From,
		"to":      found.To,
	}
}

// seenUpdate is what is printed of an update of an execution or of a tail.
func seenUpdate(update any) (saw string, seen object) {
	switch update := update.(type) {
	case promptledger.Text:
		return "text", object{"text": update.Text}
	case promptledger.Restarted:
		return "restarted", object{"attempt": update.Attempt}
	case promptledger.Joined:
		return "joined", object{"execution_id": update.ExecutionID}
	case promptledger.StateChange:
		return "state", seenState(update)
	case promptledger.Ended:
		return "result", seenExecution(update.Execution)
	case promptledger.Found:
		return "found", object{
			"execution_id": update.Execution.ID,
			"sequence":     update.Sequence,
			"status":       word(update.Execution.Status),
		}
	case promptledger.Changed:
		return "changed", seenState(update.StateChange)
	default:
		return "synced", object{}
	}
}

func seenState(change promptledger.StateChange) object {
	return object{
		"execution_id": change.ExecutionID,
		"sequence":     change.Sequence,
		"from":         word(change.From),
		"to":           word(change.To),
		"attempt":      change.Attempt,
		"error_type":   change.ErrorType,
		"prompt_name":  change.PromptName,
	}
}
