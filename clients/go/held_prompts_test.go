package promptledger

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func TestVersionsAreFoundByLabel(t *testing.T) {
	message := scripted.Labelled(scripted.PromptState("greet", 1, 2), "staging", 3)
	message.GetChange().Prompt.Labels = append(message.GetChange().Prompt.Labels, &pb.PromptLabel{Label: "lost", VersionNumber: 9})
	held := newHeldPrompt(message.GetChange())
	for label, number := range map[string]int{"": 2, "active": 2, "staging": 3, "lost": 0, "latest": 0} {
		version := held.version(label)
		if (version != nil) != (number > 0) || version != nil && version.Number != number {
			t.Errorf("%q: %+v", label, version)
		}
	}
	if version := newHeldPrompt(&pb.PromptChange{Prompt: &pb.Prompt{}}).version(""); version != nil {
		t.Error("none was activated:", version)
	}
	if !proto.Equal(held.state(), message.GetChange()) {
		t.Error(held.state())
	}
}

func TestTheSameStateAgainIsNoChange(t *testing.T) {
	var held heldPrompts
	put := func(message *pb.WatchPromptsResponse) bool {
		_, changed := held.put(message.GetChange())
		return changed
	}
	for i, each := range []struct {
		message *pb.WatchPromptsResponse
		changed bool
	}{
		{scripted.PromptState("a", 1, 1), true},
		{scripted.PromptState("a", 1, 1), false},
		{scripted.PromptState("a", 1, 2), true},
		{scripted.Labelled(scripted.PromptState("a", 1, 2), "production", 1), true},
		{scripted.Labelled(scripted.PromptState("a", 1, 2), "production", 1), false},
		{scripted.PromptState("b", 1, 1), true},
	} {
		if changed := put(each.message); changed != each.changed {
			t.Errorf("%d: %v", i, changed)
		}
	}
	if gone := held.keepOnly(map[string]struct{}{"b": {}, "c": {}}); !slices.Equal(gone, []string{"a"}) ||
		!slices.Equal(held.names(), []string{"b"}) {
		t.Error(gone, held.names())
	}
}

func TestEachChangeIsToldOnceToWhoeverHasSeenLess(t *testing.T) {
	var log changeLog
	log.add("a")
	log.add("b")
	seen := log.edition
	if all, one, none := log.since(0), log.since(1), log.since(seen); !slices.Equal(all, []string{"a", "b"}) ||
		!slices.Equal(one, []string{"b"}) || none != nil {
		t.Error(all, one, none)
	}
	for range 1000 {
		log.add("a")
	}
	log.add("c")
	log.add("a")
	if names := log.since(seen); !slices.Equal(names, []string{"c", "a"}) {
		t.Error(names)
	}
	if len(log.changes) > 40 {
		t.Error("the log grows with its changes:", len(log.changes))
	}
}

func newTestFile(t *testing.T, path, server string) *cacheFile {
	t.Helper()
	file, err := newCacheFile(path, &settings{server: server}, &pb.WatchPromptsRequest{NamePrefix: "a"})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAFileIsOfAServerAProjectAKeyAndASelection(t *testing.T) {
	of := func(server, project, key string, names ...string) [sha256.Size]byte {
		t.Helper()
		found, err := targetOf(profile{server: server, apiKey: key, project: project}, false)
		if err != nil {
			t.Fatal(err)
		}
		s := &settings{server: server, project: project, target: found}
		file, err := newCacheFile("prompts", s, &pb.WatchPromptsRequest{Names: names})
		if err != nil {
			t.Fatal(err)
		}
		return file.of
	}
	own := of("http://localhost:1", "p", "k", "a", "b")
	if own != of("http://localhost:1", "p", "k", "b", "a", "b") {
		t.Error("neither the order of names nor a name that is given twice selects anything else")
	}
	for name, other := range map[string][sha256.Size]byte{
		"server":    of("http://localhost:2", "p", "k", "a", "b"),
		"project":   of("http://localhost:1", "q", "k", "a", "b"),
		"key":       of("http://localhost:1", "p", "l", "a", "b"),
		"no key":    of("http://localhost:1", "p", "", "a", "b"),
		"selection": of("http://localhost:1", "p", "k", "a"),
	} {
		if own == other {
			t.Error("it is a file of another", name)
		}
	}
}

func TestWhatWasWrittenIsReadAndTheLastOneStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept", "prompts")
	file, now := newTestFile(t, path, "http://a"), time.UnixMilli(1_767_225_600_123)
	if states, at, err := file.read(); states != nil || !at.IsZero() || err != nil {
		t.Fatal(states, at, err)
	}
	var held heldPrompts
	for count := range 3 {
		message := scripted.Labelled(scripted.PromptState(strings.Repeat("a", count+1), 1, 1), "production", 2)
		held.put(message.GetChange())
		if err := file.write(&held, now); err != nil {
			t.Fatal(err)
		}
		states, at, err := file.read()
		if err != nil || len(states) != count+1 || !at.Equal(now) {
			t.Fatal(len(states), at, err)
		}
		if !proto.Equal(states[count], message.GetChange()) {
			t.Error(states[count])
		}
	}
	about, err := os.Stat(path)
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Error(about.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Error(entries, err)
	}
}

func TestAFileThatIsDamagedTooLargeOrOfOthersIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prompts")
	file := newTestFile(t, path, "http://a")
	var held heldPrompts
	held.put(scripted.PromptState("a", 1, 1).GetChange())
	if err := file.write(&held, time.Now()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		changed := slices.Clone(whole)
		changed[i] ^= 1
		if _, _, err := file.parse(changed); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, _, err := file.parse(whole[:i]); !errors.Is(err, errDamaged) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, _, err := newTestFile(t, path, "http://b").read(); !errors.Is(err, errOfOthers) {
		t.Error(err)
	}
	file.most = int64(len(whole)) - 1
	if _, _, err := file.read(); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
	if err := file.write(&held, time.Now()); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !slices.Equal(after, whole) {
		t.Error("the earlier one stays:", err)
	}
	file.most = int64(len(whole))
	if _, _, err := file.read(); err != nil {
		t.Error(err)
	}
	if _, _, err := newTestFile(t, t.TempDir(), "http://a").read(); err == nil {
		t.Error("a folder is no file")
	}
	if err := newTestFile(t, filepath.Join(path, "below"), "http://a").write(&held, time.Now()); err == nil {
		t.Error("a file is no folder")
	}
}
