package promptledger

import (
	"google.golang.org/grpc/codes"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Options that several calls take.

// versionSelector says which version is meant; the active one where nothing is set.
type versionSelector struct {
	number      int32
	label, hash string
	kind        selectorKind
	minRevision *int64
	err         error
}

type selectorKind int

const (
	byNumber selectorKind = iota + 1
	byLabel
	byHash
)

// VersionOption is an option of [Prompts.Version] and [Prompts.Render].
type VersionOption interface{ applyVersion(*versionSelector) }

// Selector selects a version: [WithVersion], [WithLabel] or [WithChecksumHash]. Without one it is the active version.
type Selector struct{ selector versionSelector }

// WithVersion selects a version by its number, from 1.
func WithVersion(number int) Selector {
	return Selector{versionSelector{kind: byNumber, number: asInt32(number)}}
}

// WithLabel selects the version that a label points at.
func WithLabel(label string) Selector { return Selector{versionSelector{kind: byLabel, label: label}} }

// WithChecksumHash selects the version with that content, by 64 lower-case hex digits.
func WithChecksumHash(hash string) Selector {
	return Selector{versionSelector{kind: byHash, hash: hash}}
}

func twoSelectors() error {
	return &InvalidArgument{&LedgerError{
		Code:    codes.InvalidArgument,
		Message: "WithVersion, WithLabel and WithChecksumHash select a version each: give one of them",
	}}
}

func (s Selector) applyVersion(to *versionSelector) {
	if to.kind != 0 {
		to.err = twoSelectors()
	}
	to.kind, to.number, to.label, to.hash = s.selector.kind, s.selector.number, s.selector.label, s.selector.hash
}

func (s Selector) applyRun(r *runSpec) {
	if r.spec.Selector != nil {
		r.fail(twoSelectors())
	}
	switch s.selector.kind {
	case byNumber:
		r.spec.Selector = &pb.ExecutionSpec_VersionNumber{VersionNumber: s.selector.number}
	case byLabel:
		r.spec.Selector = &pb.ExecutionSpec_Label{Label: s.selector.label}
	case byHash:
		r.spec.Selector = &pb.ExecutionSpec_ChecksumHash{ChecksumHash: s.selector.hash}
	}
}

func selectVersion(options []VersionOption) (versionSelector, error) {
	var result versionSelector
	for _, option := range options {
		option.applyVersion(&result)
	}
	return result, result.err
}

// ReadOption is an option of [Prompts.Get] and [Prompts.BatchGet].
type ReadOption interface{ applyRead(*int64) }

// MinRevision is the least revision of the project to read at.
type MinRevision int64

// WithMinRevision reads your own writes on any server: the least revision to read at, as a write told it.
func WithMinRevision(revision int64) MinRevision { return MinRevision(revision) }

func (m MinRevision) applyRead(to *int64)              { *to = int64(m) }
func (m MinRevision) applyVersion(to *versionSelector) { to.minRevision = new(int64(m)) }
func (m MinRevision) applyRun(r *runSpec)              { r.spec.MinRevision = new(int64(m)) }

// minRevision is absent where no option says it.
func minRevision(options []ReadOption) *int64 {
	if len(options) == 0 {
		return nil
	}
	result := new(int64)
	for _, option := range options {
		option.applyRead(result)
	}
	return result
}

// WriteOption is an option of the calls that change a prompt.
type WriteOption interface{ applyWrite(*writeOptions) }

type writeOptions struct {
	etag      *string
	createdBy string
}

// freely says whether the write may be done twice: a repeat after a lost answer would meet what the first one wrote.
func (w writeOptions) freely() bool { return w.etag == nil }

func writing(options []WriteOption) writeOptions {
	var result writeOptions
	for _, option := range options {
		option.applyWrite(&result)
	}
	return result
}

// Etag is the state that a prompt must have.
type Etag string

// WithEtag writes only where the prompt has this etag, else it is an [EtagMismatch].
func WithEtag(etag string) Etag { return Etag(etag) }

func (e Etag) applyWrite(w *writeOptions) { w.etag = new(string(e)) }
func (e Etag) applyPut(p *putRequest)     { p.request.Etag = new(string(e)) }

// CreatedBy names who writes.
type CreatedBy string

// WithCreatedBy says who writes; it is stored in the change log.
func WithCreatedBy(name string) CreatedBy { return CreatedBy(name) }

func (c CreatedBy) applyWrite(w *writeOptions)       { w.createdBy = string(c) }
func (c CreatedBy) applyPut(p *putRequest)           { p.request.CreatedBy = string(c) }
func (c CreatedBy) applyRegister(r *registerRequest) { r.request.CreatedBy = string(c) }

// SetActive says whether to make a version the active one.
type SetActive bool

// WithSetActive says whether to make the version the active one: by default false for [Prompts.Put], and true for
// [Client.RegisterCodePrompts].
func WithSetActive(active bool) SetActive { return SetActive(active) }

func (s SetActive) applyPut(p *putRequest)           { p.request.SetActive = bool(s) }
func (s SetActive) applyRegister(r *registerRequest) { r.request.SetActive = new(bool(s)) }

// PageOption is an option of [Prompts.Versions] and [Prompts.History].
type PageOption interface{ applyPage(*pageOptions) }

type pageOptions struct {
	size int32
	mode PromptMode
}

type pageOption func(*pageOptions)

func (o pageOption) applyPage(p *pageOptions) { o(p) }

// WithPageSize says how many items a call asks for, 50 by default and at most 500. All pages are read in any case.
func WithPageSize(size int) PageOption {
	return pageOption(func(p *pageOptions) { p.size = asInt32(size) })
}

// WithExpectedMode is the mode that the prompt must have, else a history is a [ModeMismatch].
func WithExpectedMode(mode PromptMode) PageOption {
	return pageOption(func(p *pageOptions) { p.mode = mode })
}

func paging(options []PageOption) pageOptions {
	var result pageOptions
	for _, option := range options {
		option.applyPage(&result)
	}
	return result
}
