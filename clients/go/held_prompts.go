package promptledger

import (
	"slices"
	"sort"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// heldPrompt is a prompt of a cache, with the versions that can be asked for: the active one, and those that labels point at.
// It never changes.
type heldPrompt struct {
	prompt   *Prompt
	versions []*PromptVersion
}

func newHeldPrompt(state *pb.PromptChange) *heldPrompt {
	held := &heldPrompt{prompt: readPrompt(state.GetPrompt(), nil)}
	if active := state.GetActiveVersion(); active != nil {
		held.prompt.Version = readVersion(active)
		held.versions = append(held.versions, held.prompt.Version)
	}
	for _, version := range state.GetLabelledVersions() {
		held.versions = append(held.versions, readVersion(version))
	}
	return held
}

// version returns the active version, or the one that a label points at; nil where there is none.
func (h *heldPrompt) version(label string) *PromptVersion {
	number := h.prompt.ActiveVersion
	if label != "" && label != "active" {
		number = h.prompt.Labels[label]
	}
	for _, version := range h.versions {
		if number != 0 && version.Number == number {
			return version
		}
	}
	return nil
}

// state is the message that it was made of.
func (h *heldPrompt) state() *pb.PromptChange {
	state := &pb.PromptChange{Prompt: h.prompt.Raw}
	for _, version := range h.versions {
		if version == h.prompt.Version {
			state.ActiveVersion = version.Raw
		} else {
			state.LabelledVersions = append(state.LabelledVersions, version.Raw)
		}
	}
	return state
}

func (h *heldPrompt) equal(other *heldPrompt) bool {
	return proto.Equal(h.prompt.Raw, other.prompt.Raw) &&
		slices.EqualFunc(h.versions, other.versions, func(a, b *PromptVersion) bool { return proto.Equal(a.Raw, b.Raw) })
}

// heldPrompts are the prompts of a cache by their names. One goroutine writes them, any may read, without waiting.
type heldPrompts struct {
	byName sync.Map
	// Guarded by the cache.
	log changeLog
}

func (h *heldPrompts) get(name string) *heldPrompt {
	held, _ := h.byName.Load(name)
	found, _ := held.(*heldPrompt)
	return found
}

// put holds a state in the place of an earlier one. It returns false where that is the same.
func (h *heldPrompts) put(state *pb.PromptChange) (name string, changed bool) {
	name = state.GetPrompt().GetName()
	held := newHeldPrompt(state)
	if before := h.get(name); before != nil && before.equal(held) {
		return name, false
	}
	h.byName.Store(name, held)
	return name, true
}

// keepOnly drops all other prompts than these, and returns their names, sorted.
func (h *heldPrompts) keepOnly(names map[string]struct{}) []string {
	var gone []string
	for _, name := range h.names() {
		if _, ok := names[name]; !ok {
			h.byName.Delete(name)
			gone = append(gone, name)
		}
	}
	return gone
}

func (h *heldPrompts) names() []string {
	var names []string
	h.byName.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	slices.Sort(names)
	return names
}

// changeLog numbers the changes of prompts, so that a listener is a number: what came behind it is new to it. Each name is kept
// once, by its last change.
type changeLog struct {
	edition uint64
	last    map[string]uint64
	// By edition. Those that are not a name's last are skipped, and dropped once they are most.
	changes []promptEdition
}

type promptEdition struct {
	edition uint64
	name    string
}

func (l *changeLog) add(name string) {
	if l.last == nil {
		l.last = map[string]uint64{}
	}
	l.edition++
	l.last[name] = l.edition
	l.changes = append(l.changes, promptEdition{l.edition, name})
	if len(l.changes) > 2*len(l.last)+16 {
		l.changes = slices.DeleteFunc(l.changes, func(each promptEdition) bool { return !l.isLast(each) })
	}
}

func (l *changeLog) isLast(each promptEdition) bool { return l.last[each.name] == each.edition }

// since returns the names that have changed after an edition, each once, in the order of their last changes.
func (l *changeLog) since(edition uint64) []string {
	first := sort.Search(len(l.changes), func(i int) bool { return l.changes[i].edition > edition })
	var names []string
	for _, each := range l.changes[first:] {
		if l.isLast(each) {
			names = append(names, each.name)
		}
	}
	return names
}
