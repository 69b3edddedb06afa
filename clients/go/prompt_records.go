package promptledger

import (
	"time"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// What calls answer about prompts. Raw is the message that each was read from.

// PromptVersion is one content of a prompt. It never changes; its status and its labels may.
type PromptVersion struct {
	PromptName string
	Number     int
	Status     VersionStatus
	// Template is the text. Empty where the content is a chat, which Chat returns.
	Template       string
	TemplateFormat TemplateFormat
	ChecksumHash   string
	// Variables are the names of those that the template reads.
	Variables []string
	Labels    []string
	Note      string
	CreatedBy string
	CreatedAt time.Time
	// ExecutionCount is told in a history only.
	ExecutionCount *int64
	Raw            *pb.PromptVersion
}

func readVersion(raw *pb.PromptVersion) *PromptVersion {
	if raw == nil {
		return nil
	}
	var variables []string
	for _, variable := range raw.GetVariables() {
		variables = append(variables, variable.GetName())
	}
	return &PromptVersion{
		PromptName:     raw.GetPromptName(),
		Number:         int(raw.GetVersionNumber()),
		Status:         versionStatusWords.of(raw.GetStatus()),
		Template:       raw.GetTemplateSource(),
		TemplateFormat: formatWords.of(raw.GetTemplateFormat()),
		ChecksumHash:   raw.GetChecksumHash(),
		Variables:      variables,
		Labels:         raw.GetLabels(),
		Note:           raw.GetNote(),
		CreatedBy:      raw.GetCreatedBy(),
		CreatedAt:      asTime(raw.GetCreatedAt()),
		ExecutionCount: raw.ExecutionCount,
		Raw:            raw,
	}
}

// Chat returns the entries of a chat. Empty where the content is a text.
func (v *PromptVersion) Chat() Chat {
	var chat Chat
	for _, entry := range v.Raw.GetChatTemplate().GetEntries() {
		if message := entry.GetMessage(); message != nil {
			chat = append(chat, readMessage(message))
		} else {
			chat = append(chat, Placeholder(entry.GetPlaceholder()))
		}
	}
	return chat
}

// Config returns what the content was tuned with. Absent where there is nothing.
func (v *PromptVersion) Config() *Config { return readConfig(v.Raw.GetConfig()) }

// Prompt is a prompt, with the version that came with it.
type Prompt struct {
	Name        string
	Mode        PromptMode
	Description string
	OwnerTeam   string
	Tags        []string
	// ActiveVersion is a number from 1; 0: none was activated yet.
	ActiveVersion int
	LatestVersion int
	// Labels has the number of the version that each label points at.
	Labels    map[string]int
	Etag      string
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
	// ArchivedAt is zero where it is not archived.
	ArchivedAt time.Time
	// Version is the active one, or the one that was asked for. Absent where there is none, or the call does not tell.
	Version *PromptVersion
	Raw     *pb.Prompt
}

func readPrompt(raw *pb.Prompt, version *pb.PromptVersion) *Prompt {
	var labels map[string]int
	if found := raw.GetLabels(); len(found) > 0 {
		labels = make(map[string]int, len(found))
		for _, label := range found {
			labels[label.GetLabel()] = int(label.GetVersionNumber())
		}
	}
	return &Prompt{
		Name:          raw.GetName(),
		Mode:          promptModeWords.of(raw.GetMode()),
		Description:   raw.GetDescription(),
		OwnerTeam:     raw.GetOwnerTeam(),
		Tags:          raw.GetTags(),
		ActiveVersion: int(raw.GetActiveVersionNumber()),
		LatestVersion: int(raw.GetLatestVersionNumber()),
		Labels:        labels,
		Etag:          raw.GetEtag(),
		Revision:      raw.GetRevision(),
		CreatedAt:     asTime(raw.GetCreatedAt()),
		UpdatedAt:     asTime(raw.GetUpdatedAt()),
		ArchivedAt:    asTime(raw.GetArchivedAt()),
		Version:       readVersion(version),
		Raw:           raw,
	}
}

// IsArchived says whether the prompt is archived: it can be read, but neither written nor executed.
func (p *Prompt) IsArchived() bool { return !p.ArchivedAt.IsZero() }

// WrittenPrompt is what [Prompts.Put] did.
type WrittenPrompt struct {
	Prompt  *Prompt
	Version *PromptVersion
	// VersionChange says whether the version was created.
	VersionChange bool
	// Activated says whether the call made it the active one.
	Activated bool
	Warnings  []string
	// Revision is the project's revision now: for [WithMinRevision] of a later read, and [PromptCache.Reached].
	Revision int64
}

func readWritten(raw *pb.PutPromptResponse) *WrittenPrompt {
	prompt := readPrompt(raw.GetPrompt(), raw.GetVersion())
	return &WrittenPrompt{
		Prompt:        prompt,
		Version:       prompt.Version,
		VersionChange: raw.GetVersionChange(),
		Activated:     raw.GetActivated(),
		Warnings:      raw.GetWarnings(),
		Revision:      raw.GetRevision(),
	}
}

// Rendered is what an execution would send: a text, or messages.
type Rendered struct {
	Text     string
	Messages []Message
	// Truncated says whether the text was cut at the largest size that is sent.
	Truncated bool
	// Version is absent for a draft.
	Version *PromptVersion
}

func readRendered(raw *pb.RenderPromptResponse) *Rendered {
	var messages []Message
	for _, message := range raw.GetMessages() {
		messages = append(messages, readMessage(message))
	}
	return &Rendered{
		Text:      raw.GetRenderedPrompt(),
		Messages:  messages,
		Truncated: raw.GetPromptTruncated(),
		Version:   readVersion(raw.GetVersion()),
	}
}

// PromptChange is an entry of the change log.
type PromptChange struct {
	PromptName string
	Kind       ChangeKind
	// VersionNumber is 0 where the change is of no version.
	VersionNumber int
	Label         string
	From          string
	To            string
	CreatedBy     string
	KeyName       string
	Revision      int64
	At            time.Time
	Raw           *pb.PromptChangeEntry
}

func readPromptChange(raw *pb.PromptChangeEntry) *PromptChange {
	return &PromptChange{
		PromptName:    raw.GetPromptName(),
		Kind:          changeWords.of(raw.GetKind()),
		VersionNumber: int(raw.GetVersionNumber()),
		Label:         raw.GetLabel(),
		From:          raw.GetFromValue(),
		To:            raw.GetToValue(),
		CreatedBy:     raw.GetCreatedBy(),
		KeyName:       raw.GetKeyName(),
		Revision:      raw.GetRevision(),
		At:            asTime(raw.GetAt()),
		Raw:           raw,
	}
}

// Batch is what [Prompts.BatchGet] found, in the order asked for.
type Batch struct {
	Found   []*Prompt
	Missing []string
}
