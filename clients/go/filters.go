package promptledger

import (
	"time"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// ExecutionFilter says which executions to list. What is zero does not filter; the rest is joined by "and".
type ExecutionFilter struct {
	PromptName    string
	Version       int
	Label         string
	Statuses      []Status
	Mode          ExecutionMode
	Environment   string
	Model         string
	ErrorType     string
	CorrelationID string
	Metadata      map[string]string
	// Start and End bound the time of creation.
	Start, End time.Time
	// Full tells the texts too.
	Full bool
	// PageSize says how many a call asks for. All pages are read in any case.
	PageSize int
}

func (f ExecutionFilter) request() (*pb.ListExecutionsRequest, error) {
	statuses, err := statusWords.numbers("statuses", f.Statuses)
	if err != nil {
		return nil, err
	}
	mode, err := executionModeWords.number("mode", f.Mode)
	if err != nil {
		return nil, err
	}
	request := &pb.ListExecutionsRequest{
		PromptName:    f.PromptName,
		Label:         f.Label,
		Statuses:      statuses,
		Mode:          mode,
		Environment:   f.Environment,
		ErrorType:     f.ErrorType,
		CorrelationId: f.CorrelationID,
		Metadata:      f.Metadata,
		StartTime:     asTimestamp(f.Start),
		EndTime:       asTimestamp(f.End),
		View:          view(f.Full),
		PageSize:      asInt32(f.PageSize),
	}
	if f.Version != 0 {
		request.VersionNumber = new(asInt32(f.Version))
	}
	if f.Model != "" {
		request.Model, err = modelMessage(f.Model, "model")
	}
	return request, err
}

// TailFilter says which executions to tail. What is zero does not filter; the rest is joined by "and".
type TailFilter struct {
	PromptName    string
	Environment   string
	CorrelationID string
	Statuses      []Status
	// Since begins with what has changed since then, beside what is unfinished.
	Since time.Time
	// Full tells the texts too.
	Full bool
}

func (f TailFilter) request() (*pb.WatchExecutionsRequest, error) {
	statuses, err := statusWords.numbers("statuses", f.Statuses)
	return &pb.WatchExecutionsRequest{
		PromptName:    f.PromptName,
		Environment:   f.Environment,
		CorrelationId: f.CorrelationID,
		Statuses:      statuses,
		Since:         asTimestamp(f.Since),
		View:          view(f.Full),
	}, err
}

func view(full bool) pb.ExecutionView {
	if full {
		return pb.ExecutionView_EXECUTION_VIEW_FULL
	}
	return pb.ExecutionView_EXECUTION_VIEW_UNSPECIFIED
}

// PromptFilter says which prompts to list. What is zero does not filter; the rest is joined by "and".
type PromptFilter struct {
	Mode       PromptMode
	OwnerTeam  string
	NamePrefix string
	Tag        string
	Label      string
	// Query are words that the name or the description holds.
	Query           string
	IncludeArchived bool
	// PageSize says how many a call asks for. All pages are read in any case.
	PageSize int
}

func (f PromptFilter) request() (*pb.ListPromptsRequest, error) {
	mode, err := promptModeWords.number("mode", f.Mode)
	return &pb.ListPromptsRequest{
		Mode:            mode,
		OwnerTeam:       f.OwnerTeam,
		NamePrefix:      f.NamePrefix,
		Tag:             f.Tag,
		Label:           f.Label,
		Query:           f.Query,
		IncludeArchived: f.IncludeArchived,
		PageSize:        asInt32(f.PageSize),
	}, err
}

// ChangeFilter says which changes to list: of a prompt, or where Name is empty of all prompts of the project.
type ChangeFilter struct {
	Name  string
	Kinds []ChangeKind
	// PageSize says how many a call asks for. All pages are read in any case.
	PageSize int
}

func (f ChangeFilter) request() (*pb.ListPromptChangesRequest, error) {
	kinds, err := changeWords.numbers("kinds", f.Kinds)
	return &pb.ListPromptChangesRequest{Name: f.Name, Kinds: kinds, PageSize: asInt32(f.PageSize)}, err
}
