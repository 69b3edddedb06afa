package main

import (
	"encoding/json"
	"strings"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

// What scenarios tell, in protobuf's JSON form, as a user gives it.

type spec struct {
	PromptName     string            `json:"prompt_name"`
	Variables      map[string]any    `json:"variables"`
	VersionNumber  *int              `json:"version_number"`
	Label          *string           `json:"label"`
	ChecksumHash   *string           `json:"checksum_hash"`
	IdempotencyKey string            `json:"idempotency_key"`
	CorrelationID  string            `json:"correlation_id"`
	Timeout        string            `json:"timeout"`
	MaxRetries     *int              `json:"max_retries"`
	StreamText     bool              `json:"stream_text"`
	Metadata       map[string]string `json:"metadata"`
	Tools          []struct {
		Name           string `json:"name"`
		Description    string `json:"description"`
		ParametersJSON string `json:"parameters_json"`
	} `json:"tools"`
}

func (s *spec) options() []promptledger.RunOption {
	var options []promptledger.RunOption
	add := func(given bool, option func() promptledger.RunOption) {
		if given {
			options = append(options, option())
		}
	}
	add(s.VersionNumber != nil, func() promptledger.RunOption { return promptledger.WithVersion(*s.VersionNumber) })
	add(s.Label != nil, func() promptledger.RunOption { return promptledger.WithLabel(*s.Label) })
	add(s.ChecksumHash != nil, func() promptledger.RunOption { return promptledger.WithChecksumHash(*s.ChecksumHash) })
	add(s.IdempotencyKey != "", func() promptledger.RunOption { return promptledger.WithIdempotencyKey(s.IdempotencyKey) })
	add(s.CorrelationID != "", func() promptledger.RunOption { return promptledger.WithCorrelationID(s.CorrelationID) })
	add(s.MaxRetries != nil, func() promptledger.RunOption { return promptledger.WithMaxRetries(*s.MaxRetries) })
	add(s.StreamText, promptledger.WithStreamText)
	add(s.Metadata != nil, func() promptledger.RunOption { return promptledger.WithMetadata(s.Metadata) })
	// Protobuf writes a duration as Go does, in seconds.
	timeout, err := time.ParseDuration(s.Timeout)
	add(err == nil, func() promptledger.RunOption { return promptledger.WithProviderTimeout(timeout) })
	var tools []promptledger.Tool
	for _, tool := range s.Tools {
		tools = append(tools, promptledger.Tool{Name: tool.Name, Description: tool.Description, Parameters: tool.ParametersJSON})
	}
	add(tools != nil, func() promptledger.RunOption { return promptledger.WithTools(tools...) })
	return options
}

type putRequest struct {
	Name           string  `json:"name"`
	TemplateSource *string `json:"template_source"`
	Description    *string `json:"description"`
	OwnerTeam      *string `json:"owner_team"`
	Tags           *struct {
		Values []string `json:"values"`
	} `json:"tags"`
	SetActive  bool    `json:"set_active"`
	CreateOnly bool    `json:"create_only"`
	Etag       *string `json:"etag"`
	Note       string  `json:"note"`
}

func (r putRequest) content() promptledger.Content {
	if r.TemplateSource == nil {
		return nil
	}
	return promptledger.Template(*r.TemplateSource)
}

func (r putRequest) options() []promptledger.PutOption {
	options := []promptledger.PutOption{promptledger.WithSetActive(r.SetActive), promptledger.WithNote(r.Note)}
	if r.Description != nil {
		options = append(options, promptledger.WithDescription(*r.Description))
	}
	if r.OwnerTeam != nil {
		options = append(options, promptledger.WithOwnerTeam(*r.OwnerTeam))
	}
	if r.Tags != nil {
		options = append(options, promptledger.WithTags(r.Tags.Values...))
	}
	if r.CreateOnly {
		options = append(options, promptledger.WithCreateOnly())
	}
	if r.Etag != nil {
		options = append(options, promptledger.WithEtag(*r.Etag))
	}
	return options
}

type codePrompt struct {
	Name           string `json:"name"`
	TemplateSource string `json:"template_source"`
	TemplateHash   string `json:"template_hash"`
}

func tailFilter(raw json.RawMessage) (promptledger.TailFilter, error) {
	var told struct {
		PromptName    string    `json:"prompt_name"`
		Environment   string    `json:"environment"`
		CorrelationID string    `json:"correlation_id"`
		Statuses      []string  `json:"statuses"`
		Since         time.Time `json:"since"`
		View          string    `json:"view"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &told); err != nil {
			return promptledger.TailFilter{}, err
		}
	}
	filter := promptledger.TailFilter{
		PromptName:    told.PromptName,
		Environment:   told.Environment,
		CorrelationID: told.CorrelationID,
		Since:         told.Since,
		Full:          told.View == "EXECUTION_VIEW_FULL",
	}
	for _, status := range told.Statuses {
		name := strings.ToLower(strings.TrimPrefix(status, "EXECUTION_STATUS_"))
		filter.Statuses = append(filter.Statuses, promptledger.Status(name))
	}
	return filter, nil
}
