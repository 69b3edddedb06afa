package promptledger

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// CodePrompt is a prompt that lives in code.
type CodePrompt struct {
	Name    string
	Content Content
	// Format is that of a [Template]; empty: handlebars.
	Format TemplateFormat
	// TemplateHash is checked against the content. Empty: it is not.
	TemplateHash string
	// What is absent is kept, what is empty is cleared.
	Description, OwnerTeam *string
	// Path is where in the repository it stands.
	Path   string
	Config *Config
	// Labels are set to the version.
	Labels []string
	Note   string
}

// CodeSource is where prompts are registered from: [CodeTexts], [CodePrompts], [CodeFolder] or [CodeFS].
type CodeSource interface{ codePrompts() ([]CodePrompt, error) }

// CodeTexts are templates by the names of their prompts.
type CodeTexts map[string]string

// CodePrompts are prompts with all that can be said of them.
type CodePrompts []CodePrompt

// CodeFolder is the path of a folder, which is read as [CodeFS] is.
type CodeFolder string

// CodeFS reads the files of a file system, such as an [embed.FS]: shop/greeting.hbs is the prompt shop.greeting. Files end in .hbs,
// .md or .txt (templates), or in .j2 or .jinja (opaque texts); others are passed over.
func CodeFS(files fs.FS) CodeSource { return codeFS{files} }

type codeFS struct{ files fs.FS }

var formats = map[string]TemplateFormat{
	".hbs": FormatHandlebars, ".md": FormatHandlebars, ".txt": FormatHandlebars, ".j2": FormatOpaque, ".jinja": FormatOpaque,
}

func (c CodeTexts) codePrompts() ([]CodePrompt, error) {
	var prompts []CodePrompt
	for _, name := range slices.Sorted(maps.Keys(c)) {
		prompts = append(prompts, CodePrompt{Name: name, Content: Template(c[name])})
	}
	return prompts, nil
}

func (c CodePrompts) codePrompts() ([]CodePrompt, error) { return c, nil }

func (c CodeFolder) codePrompts() ([]CodePrompt, error) {
	return codeFS{os.DirFS(string(c))}.codePrompts()
}

func (c codeFS) codePrompts() ([]CodePrompt, error) {
	var prompts []CodePrompt
	err := fs.WalkDir(c.files, ".", func(file string, entry fs.DirEntry, err error) error {
		format, ok := formats[path.Ext(file)]
		if err != nil || entry.IsDir() || !ok {
			return err
		}
		content, err := fs.ReadFile(c.files, file)
		prompts = append(prompts, CodePrompt{
			Name:    strings.ReplaceAll(strings.TrimSuffix(file, path.Ext(file)), "/", "."),
			Content: Template(content),
			Format:  format,
			Path:    file,
		})
		return err
	})
	return prompts, err
}

func (c CodePrompt) message() (*pb.CodePrompt, error) {
	field := "prompts[" + c.Name + "]"
	format, err := formatWords.number(field+".template_format", c.Format)
	if err != nil {
		return nil, err
	}
	message := &pb.CodePrompt{
		Name:           c.Name,
		TemplateFormat: format,
		TemplateHash:   c.TemplateHash,
		Description:    c.Description,
		OwnerTeam:      c.OwnerTeam,
		Path:           c.Path,
		Labels:         c.Labels,
		Note:           c.Note,
	}
	switch content := c.Content.(type) {
	case Template:
		message.Template = &pb.CodePrompt_TemplateSource{TemplateSource: string(content)}
	case Chat:
		message.Template = &pb.CodePrompt_ChatTemplate{ChatTemplate: content.message()}
	}
	if c.Config != nil {
		message.Config, err = c.Config.message()
	}
	return message, err
}

// RegisterOption is an option of [Client.RegisterCodePrompts].
type RegisterOption interface{ applyRegister(*registerRequest) }

type registerRequest struct {
	request *pb.RegisterCodePromptsRequest
}

type registerOption func(*registerRequest)

func (o registerOption) applyRegister(r *registerRequest) { o(r) }

// WithDryRun writes nothing: the answer says what would be written, with its difference.
func WithDryRun() RegisterOption {
	return registerOption(func(r *registerRequest) { r.request.DryRun = true })
}

// WithSource says which commit of which repository the prompts are of.
func WithSource(repository, commit string) RegisterOption {
	return registerOption(func(r *registerRequest) {
		r.request.Source = &pb.CodeSource{Repository: repository, Commit: commit}
	})
}

// RegisteredPrompt is what registering one prompt came to, or would come to.
type RegisteredPrompt struct {
	Name    string
	Action  Action
	Version int
	// PreviousVersion is 0 where there was none.
	PreviousVersion int
	ChangeDetected  bool
	ChecksumHash    string
	Warnings        []string
}

func readRegistered(raw *pb.RegisteredPrompt) RegisteredPrompt {
	return RegisteredPrompt{
		Name:            raw.GetName(),
		Action:          actionWords.of(raw.GetAction()),
		Version:         int(raw.GetVersion()),
		PreviousVersion: int(raw.GetPreviousVersion()),
		ChangeDetected:  raw.GetChangeDetected(),
		ChecksumHash:    raw.GetChecksumHash(),
		Warnings:        raw.GetWarnings(),
	}
}

// Registration is what a registration came to, or in a dry run would come to.
type Registration struct {
	Registered []RegisteredPrompt
	Revision   int64
	// Diff is for people: what differs from the ledger, as unified diffs. Of a dry run only; empty where nothing differs.
	Diff string
}

// Changed says whether anything was written, or would be.
func (r *Registration) Changed() bool {
	return slices.ContainsFunc(r.Registered, func(p RegisteredPrompt) bool { return p.Action != ActionUnchanged })
}

// ExitCode is for CI: 0 where nothing would be written, else 1.
func (r *Registration) ExitCode() int {
	if r.Changed() {
		return 1
	}
	return 0
}

// RegisterCodePrompts registers prompts that live in code, all or none; [Client.Execute] then runs the text in hand, also while
// another release registers another.
func (c *Client) RegisterCodePrompts(ctx context.Context, source CodeSource, options ...RegisterOption) (*Registration, error) {
	prompts, err := source.codePrompts()
	if err != nil {
		return nil, err
	}
	register := registerRequest{&pb.RegisterCodePromptsRequest{}}
	for _, prompt := range prompts {
		message, err := prompt.message()
		if err != nil {
			return nil, err
		}
		register.request.Prompts = append(register.request.Prompts, message)
	}
	for _, option := range options {
		option.applyRegister(&register)
	}
	request := register.request
	answer, err := call(ctx, c.transport, "RegisterCodePrompts", c.Raw.Code.RegisterCodePrompts, request, freely)
	if err != nil {
		return nil, err
	}
	result := &Registration{Registered: readAll(answer.GetRegistered(), readRegistered), Revision: answer.GetRevision()}
	if request.DryRun {
		result.Diff, err = c.differences(ctx, request.Prompts, result.Registered)
		return result, err
	}
	c.code.keep(result.Registered)
	return result, nil
}

// differences compares the prompts in code with the versions that they follow.
func (c *Client) differences(ctx context.Context, prompts []*pb.CodePrompt, outcomes []RegisteredPrompt) (string, error) {
	var diff strings.Builder
	for i, outcome := range outcomes {
		if outcome.Action == ActionUnchanged || i >= len(prompts) {
			continue
		}
		var before *pb.PromptVersion
		if outcome.PreviousVersion != 0 {
			found, err := c.Prompts.Version(ctx, outcome.Name, WithVersion(outcome.PreviousVersion))
			if err != nil {
				return "", err
			}
			before = found.Raw
		}
		diff.WriteString(codeDifference(prompts[i], outcome.Action, before))
	}
	return diff.String(), nil
}

// codeHashes are the hashes of the texts that this process carries, by the prompts' names: whoever executes one runs its own
// text, also while another release registers another.
type codeHashes struct {
	trackingOnly bool
	mu           sync.RWMutex
	hashes       map[string]string
}

func (c *codeHashes) keep(registered []RegisteredPrompt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hashes == nil {
		c.hashes = map[string]string{}
	}
	for _, prompt := range registered {
		c.hashes[prompt.Name] = prompt.ChecksumHash
	}
}

// prepare selects the text in hand, where the spec selects nothing. It returns whether the prompt is in code.
func (c *codeHashes) prepare(spec *pb.ExecutionSpec) bool {
	c.mu.RLock()
	hash, registered := c.hashes[spec.PromptName]
	c.mu.RUnlock()
	if registered && spec.Selector == nil {
		spec.Selector = &pb.ExecutionSpec_ChecksumHash{ChecksumHash: hash}
	}
	return registered || c.trackingOnly
}
