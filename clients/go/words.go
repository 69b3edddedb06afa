package promptledger

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Enums of the contract stand as words: "succeeded" for EXECUTION_STATUS_SUCCEEDED. A value that a newer server knows stands as
// its number.

// Status is the status of an execution.
type Status string

// The statuses of executions.
const (
	StatusQueued    Status = "queued"
	StatusRunning   Status = "running"
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusCanceled  Status = "canceled"
)

// ExecutionMode is how an execution was asked for.
type ExecutionMode string

// The modes of executions: within the call, or by a worker.
const (
	ModeSync  ExecutionMode = "sync"
	ModeAsync ExecutionMode = "async"
)

// PromptMode says where a prompt lives.
type PromptMode string

// The modes of prompts: in the ledger, or in code.
const (
	PromptModeFull     PromptMode = "full"
	PromptModeTracking PromptMode = "tracking"
)

// VersionStatus is the status of a version.
type VersionStatus string

// The statuses of versions.
const (
	VersionDraft      VersionStatus = "draft"
	VersionActive     VersionStatus = "active"
	VersionDeprecated VersionStatus = "deprecated"
)

// TemplateFormat is the language of a template.
type TemplateFormat string

// The formats of templates. An opaque one is rendered by its owner, never by the ledger.
const (
	FormatHandlebars TemplateFormat = "handlebars"
	FormatOpaque     TemplateFormat = "opaque"
)

// ChangeKind is the kind of an entry of the change log.
type ChangeKind string

// The kinds of changes.
const (
	ChangeCreated        ChangeKind = "created"
	ChangeVersionCreated ChangeKind = "version_created"
	ChangeActivated      ChangeKind = "activated"
	ChangeStatus         ChangeKind = "status"
	ChangeLabelSet       ChangeKind = "label_set"
	ChangeLabelRemoved   ChangeKind = "label_removed"
	ChangeMetadata       ChangeKind = "metadata"
	ChangeArchived       ChangeKind = "archived"
	ChangeUnarchived     ChangeKind = "unarchived"
	ChangeModeMigrated   ChangeKind = "mode_migrated"
)

// Action is what registering a prompt came to.
type Action string

// The actions of a registration.
const (
	ActionNew         Action = "new"
	ActionUpdated     Action = "updated"
	ActionReactivated Action = "reactivated"
	ActionUnchanged   Action = "unchanged"
)

var (
	statusWords        = wordsOf[pb.ExecutionStatus, Status]("EXECUTION_STATUS_")
	executionModeWords = wordsOf[pb.ExecutionMode, ExecutionMode]("EXECUTION_MODE_")
	promptModeWords    = wordsOf[pb.PromptMode, PromptMode]("PROMPT_MODE_")
	versionStatusWords = wordsOf[pb.VersionStatus, VersionStatus]("VERSION_STATUS_")
	formatWords        = wordsOf[pb.TemplateFormat, TemplateFormat]("TEMPLATE_FORMAT_")
	changeWords        = wordsOf[pb.PromptChangeKind, ChangeKind]("PROMPT_CHANGE_KIND_")
	actionWords        = wordsOf[pb.RegistrationAction, Action]("REGISTRATION_ACTION_")
	toolChoiceWords    = wordsOf[pb.ToolChoiceMode, ToolChoiceMode]("TOOL_CHOICE_MODE_")
)

type protoEnum interface {
	~int32
	protoreflect.Enum
}

// words are the values of an enum by their numbers, which are gapless from 0; 0 has the empty word.
type words[E protoEnum, W ~string] struct{ known []W }

func wordsOf[E protoEnum, W ~string](prefix string) words[E, W] {
	values := E(0).Descriptor().Values()
	known := make([]W, values.Len())
	for i := range values.Len() {
		value := values.Get(i)
		if value.Number() != 0 {
			known[value.Number()] = W(strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix)))
		}
	}
	return words[E, W]{known}
}

func (w words[E, W]) of(value E) W {
	if int(value) >= 0 && int(value) < len(w.known) {
		return w.known[value]
	}
	return W(strconv.Itoa(int(value)))
}

// number returns the value of a word; field names what it is for. An empty word is the unspecified value.
func (w words[E, W]) number(field string, word W) (E, error) {
	for number, known := range w.known {
		if known == word {
			return E(number), nil
		}
	}
	var known []string
	for _, each := range w.known[1:] {
		known = append(known, string(each))
	}
	return 0, invalidField(field, "%q is none of %s", string(word), strings.Join(known, ", "))
}

func (w words[E, W]) numbers(field string, given []W) ([]E, error) {
	var numbers []E
	for _, word := range given {
		number, err := w.number(field, word)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// asTime returns a time in UTC; the zero time where it is absent.
func asTime(stamp *timestamppb.Timestamp) time.Time {
	if stamp == nil {
		return time.Time{}
	}
	return stamp.AsTime()
}

// asTimestamp is absent for the zero time.
func asTimestamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
