package promptledger

import (
	"context"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// PutOption is an option of [Prompts.Put]. What no option says is kept, what is empty is cleared.
type PutOption interface{ applyPut(*putRequest) }

type putRequest struct {
	request *pb.PutPromptRequest
	err     error
}

type putOption func(*putRequest)

func (o putOption) applyPut(p *putRequest) { o(p) }

// ConfigOption says what a content was tuned with.
type ConfigOption struct{ config Config }

// WithConfig is what the content was tuned with; it is a part of the content.
func WithConfig(config Config) ConfigOption { return ConfigOption{config} }

func (o ConfigOption) applyPut(p *putRequest) {
	message, err := o.config.message()
	if p.err == nil {
		p.err = err
	}
	p.request.Config = message
}

func (o ConfigOption) applyDraft(draft *pb.PromptDraft) error {
	message, err := o.config.message()
	draft.Config = message
	return err
}

// WithLabels are labels to set to the version.
func WithLabels(labels ...string) PutOption {
	return putOption(func(p *putRequest) { p.request.Labels = append(p.request.Labels, labels...) })
}

// WithDescription describes the prompt.
func WithDescription(text string) PutOption {
	return putOption(func(p *putRequest) { p.request.Description = &text })
}

// WithOwnerTeam says whose the prompt is.
func WithOwnerTeam(name string) PutOption {
	return putOption(func(p *putRequest) { p.request.OwnerTeam = &name })
}

// WithTags are all tags of the prompt; none clears them.
func WithTags(tags ...string) PutOption {
	return putOption(func(p *putRequest) { p.request.Tags = &pb.Tags{Values: tags} })
}

// WithNote says why the version was made.
func WithNote(text string) PutOption {
	return putOption(func(p *putRequest) { p.request.Note = text })
}

// WithCreateOnly writes only where the prompt does not exist yet, else it is a [PromptExists].
func WithCreateOnly() PutOption {
	return putOption(func(p *putRequest) { p.request.CreateOnly = true })
}

// Put creates a prompt, or writes a content and metadata of one that exists. A content that it has makes no new version. A nil
// content writes metadata alone.
func (p *Prompts) Put(ctx context.Context, name string, content Content, options ...PutOption) (*WrittenPrompt, error) {
	put := putRequest{request: &pb.PutPromptRequest{Name: name}}
	switch content := content.(type) {
	case Template:
		put.request.Template = &pb.PutPromptRequest_TemplateSource{TemplateSource: string(content)}
	case Chat:
		put.request.Template = &pb.PutPromptRequest_ChatTemplate{ChatTemplate: content.message()}
	}
	for _, option := range options {
		option.applyPut(&put)
	}
	if put.err != nil {
		return nil, put.err
	}
	// A repeat after a lost answer would meet what the first one wrote.
	limits := policy{freely: !put.request.CreateOnly && put.request.Etag == nil}
	answer, err := call(ctx, p.transport, "PutPrompt", p.transport.raw.Registry.PutPrompt, put.request, limits)
	if err != nil {
		return nil, err
	}
	return readWritten(answer), nil
}

// Activate makes a version the active one: it promotes it, or rolls back to it.
func (p *Prompts) Activate(ctx context.Context, name string, version int, options ...WriteOption) (*Prompt, error) {
	write := writing(options)
	request := &pb.SetActiveVersionRequest{
		Name: name, VersionNumber: asInt32(version), Etag: write.etag, CreatedBy: write.createdBy,
	}
	limits := policy{freely: write.freely()}
	answer, err := call(ctx, p.transport, "SetActiveVersion", p.transport.raw.Registry.SetActiveVersion, request, limits)
	if err != nil {
		return nil, err
	}
	return readPrompt(answer.GetPrompt(), answer.GetActiveVersion()), nil
}

// Label sets a label to a version, which the answer has.
func (p *Prompts) Label(ctx context.Context, name, label string, version int, options ...WriteOption) (*Prompt, error) {
	write := writing(options)
	request := &pb.SetLabelRequest{
		Name: name, Label: label, VersionNumber: asInt32(version), Etag: write.etag, CreatedBy: write.createdBy,
	}
	limits := policy{freely: write.freely()}
	answer, err := call(ctx, p.transport, "SetLabel", p.transport.raw.Registry.SetLabel, request, limits)
	if err != nil {
		return nil, err
	}
	return readPrompt(answer.GetPrompt(), answer.GetVersion()), nil
}

// Unlabel removes a label.
func (p *Prompts) Unlabel(ctx context.Context, name, label string, options ...WriteOption) (*Prompt, error) {
	write := writing(options)
	request := &pb.RemoveLabelRequest{Name: name, Label: label, Etag: write.etag, CreatedBy: write.createdBy}
	// The label that a first one removed is not found by a second one.
	answer, err := call(ctx, p.transport, "RemoveLabel", p.transport.raw.Registry.RemoveLabel, request, policy{})
	if err != nil {
		return nil, err
	}
	return readPrompt(answer.GetPrompt(), nil), nil
}

// Archive takes a prompt out of lists and makes it not executable; its name stays taken.
func (p *Prompts) Archive(ctx context.Context, name string, options ...WriteOption) (*Prompt, error) {
	write := writing(options)
	request := &pb.ArchivePromptRequest{Name: name, Etag: write.etag, CreatedBy: write.createdBy}
	limits := policy{freely: write.freely()}
	answer, err := call(ctx, p.transport, "ArchivePrompt", p.transport.raw.Registry.ArchivePrompt, request, limits)
	if err != nil {
		return nil, err
	}
	return readPrompt(answer.GetPrompt(), nil), nil
}

// Unarchive takes a prompt out of the archive.
func (p *Prompts) Unarchive(ctx context.Context, name string, options ...WriteOption) (*Prompt, error) {
	write := writing(options)
	request := &pb.UnarchivePromptRequest{Name: name, Etag: write.etag, CreatedBy: write.createdBy}
	limits := policy{freely: write.freely()}
	answer, err := call(ctx, p.transport, "UnarchivePrompt", p.transport.raw.Registry.UnarchivePrompt, request, limits)
	if err != nil {
		return nil, err
	}
	return readPrompt(answer.GetPrompt(), nil), nil
}
