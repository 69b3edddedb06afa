package promptledger

import (
	"context"
	"iter"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Prompts are the registry's calls: they write prompts of full mode, and read those of both modes.
type Prompts struct{ transport *transport }

// Names of one BatchGetPrompts.
const batchSize = 100

// Get returns a prompt with its active version.
func (p *Prompts) Get(ctx context.Context, name string, options ...ReadOption) (*Prompt, error) {
	request := &pb.GetPromptRequest{Name: name, MinRevision: minRevision(options)}
	answer, err := call(ctx, p.transport, "GetPrompt", p.transport.raw.Registry.GetPrompt, request, freely)
	if err != nil {
		return nil, err
	}
	return readPrompt(answer.GetPrompt(), answer.GetActiveVersion()), nil
}

// BatchGet returns any number of prompts, each with its active version, or with the one that the label points at.
func (p *Prompts) BatchGet(ctx context.Context, names []string, label string, options ...ReadOption) (*Batch, error) {
	batch, least := &Batch{}, minRevision(options)
	for left := names; len(left) > 0; {
		asked := left[:min(len(left), batchSize)]
		left = left[len(asked):]
		request := &pb.BatchGetPromptsRequest{Names: asked, Label: label, MinRevision: least}
		answer, err := call(ctx, p.transport, "BatchGetPrompts", p.transport.raw.Registry.BatchGetPrompts, request, freely)
		if err != nil {
			return nil, err
		}
		for _, found := range answer.GetFound() {
			batch.Found = append(batch.Found, readPrompt(found.GetPrompt(), found.GetVersion()))
		}
		batch.Missing = append(batch.Missing, answer.GetMissing()...)
		if len(answer.GetLeftOut()) >= len(asked) {
			return nil, noProgress("the server leaves out all the prompts that it is asked for")
		}
		// The answer was full.
		left = append(answer.GetLeftOut(), left...)
	}
	return batch, nil
}

// List yields prompts with their active versions, by name.
func (p *Prompts) List(ctx context.Context, filter PromptFilter) iter.Seq2[*Prompt, error] {
	request, err := filter.request()
	if err != nil {
		return onlyError[*Prompt](err)
	}
	return pages(func(token string) ([]*Prompt, string, error) {
		request.PageToken = token
		answer, err := call(ctx, p.transport, "ListPrompts", p.transport.raw.Registry.ListPrompts, request, freely)
		active := map[string]*pb.PromptVersion{}
		for _, version := range answer.GetActiveVersions() {
			active[version.GetPromptId()] = version
		}
		read := func(raw *pb.Prompt) *Prompt { return readPrompt(raw, active[raw.GetPromptId()]) }
		return readAll(answer.GetPrompts(), read), answer.GetNextPageToken(), err
	})
}

// Version returns one version; the active one where none is selected.
func (p *Prompts) Version(ctx context.Context, name string, options ...VersionOption) (*PromptVersion, error) {
	selected, err := selectVersion(options)
	if err != nil {
		return nil, err
	}
	request := &pb.GetVersionRequest{Name: name, MinRevision: selected.minRevision}
	switch selected.kind {
	case byNumber:
		request.Selector = &pb.GetVersionRequest_VersionNumber{VersionNumber: selected.number}
	case byLabel:
		request.Selector = &pb.GetVersionRequest_Label{Label: selected.label}
	case byHash:
		request.Selector = &pb.GetVersionRequest_ChecksumHash{ChecksumHash: selected.hash}
	}
	answer, err := call(ctx, p.transport, "GetVersion", p.transport.raw.Registry.GetVersion, request, freely)
	if err != nil {
		return nil, err
	}
	return readVersion(answer.GetVersion()), nil
}

// Versions yields all versions, the newest first.
func (p *Prompts) Versions(ctx context.Context, name string, options ...PageOption) iter.Seq2[*PromptVersion, error] {
	request := &pb.ListVersionsRequest{Name: name, PageSize: paging(options).size}
	return pages(func(token string) ([]*PromptVersion, string, error) {
		request.PageToken = token
		answer, err := call(ctx, p.transport, "ListVersions", p.transport.raw.Registry.ListVersions, request, freely)
		return readAll(answer.GetVersions(), readVersion), answer.GetNextPageToken(), err
	})
}

// History yields all versions with their ExecutionCount, the newest first.
func (p *Prompts) History(ctx context.Context, name string, options ...PageOption) iter.Seq2[*PromptVersion, error] {
	page := paging(options)
	mode, err := promptModeWords.number("mode", page.mode)
	if err != nil {
		return onlyError[*PromptVersion](err)
	}
	request := &pb.GetPromptHistoryRequest{Name: name, Mode: mode, PageSize: page.size}
	return pages(func(token string) ([]*PromptVersion, string, error) {
		request.PageToken = token
		answer, err := call(ctx, p.transport, "GetPromptHistory", p.transport.raw.Registry.GetPromptHistory, request, freely)
		return readAll(answer.GetVersions(), readVersion), answer.GetNextPageToken(), err
	})
}

// Changes yields what was changed, the newest first.
func (p *Prompts) Changes(ctx context.Context, filter ChangeFilter) iter.Seq2[*PromptChange, error] {
	request, err := filter.request()
	if err != nil {
		return onlyError[*PromptChange](err)
	}
	return pages(func(token string) ([]*PromptChange, string, error) {
		request.PageToken = token
		answer, err := call(ctx, p.transport, "ListPromptChanges", p.transport.raw.Registry.ListPromptChanges, request, freely)
		return readAll(answer.GetChanges(), readPromptChange), answer.GetNextPageToken(), err
	})
}

// Render returns exactly what an execution would send; it records nothing.
func (p *Prompts) Render(ctx context.Context, name string, variables Vars, options ...VersionOption) (*Rendered, error) {
	selected, err := selectVersion(options)
	if err != nil {
		return nil, err
	}
	request := &pb.RenderPromptRequest{Name: name, MinRevision: selected.minRevision}
	switch selected.kind {
	case byNumber:
		request.Selector = &pb.RenderPromptRequest_VersionNumber{VersionNumber: selected.number}
	case byLabel:
		request.Selector = &pb.RenderPromptRequest_Label{Label: selected.label}
	case byHash:
		request.Selector = &pb.RenderPromptRequest_ChecksumHash{ChecksumHash: selected.hash}
	}
	return p.render(ctx, request, variables)
}

// DraftOption is an option of [Prompts.RenderDraft].
type DraftOption interface{ applyDraft(*pb.PromptDraft) error }

// RenderDraft is the same of a content that is not stored.
func (p *Prompts) RenderDraft(ctx context.Context, content Content, variables Vars, options ...DraftOption) (*Rendered, error) {
	draft := &pb.PromptDraft{}
	switch content := content.(type) {
	case Template:
		draft.Template = &pb.PromptDraft_TemplateSource{TemplateSource: string(content)}
	case Chat:
		draft.Template = &pb.PromptDraft_ChatTemplate{ChatTemplate: content.message()}
	}
	for _, option := range options {
		if err := option.applyDraft(draft); err != nil {
			return nil, err
		}
	}
	request := &pb.RenderPromptRequest{Selector: &pb.RenderPromptRequest_Draft{Draft: draft}}
	return p.render(ctx, request, variables)
}

func (p *Prompts) render(ctx context.Context, request *pb.RenderPromptRequest, variables Vars) (*Rendered, error) {
	if variables != nil {
		values, err := asStruct(variables, "variables")
		if err != nil {
			return nil, err
		}
		request.Variables = values
	}
	answer, err := call(ctx, p.transport, "RenderPrompt", p.transport.raw.Registry.RenderPrompt, request, freely)
	if err != nil {
		return nil, err
	}
	return readRendered(answer), nil
}
