package promptledger_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// everything is what a stream from 0 tells: a with 1 and 2, b with 5.
func everything() scripted.Answer {
	return scripted.Answer{
		scripted.Labelled(scripted.PromptState("a", 0, 1), "staging", 2), scripted.PromptState("b", 0, 5),
		scripted.PromptsSynced(7),
	}
}

func openCache(t *testing.T, ledger *promptledger.Client, options ...promptledger.CacheOption) *promptledger.PromptCache {
	t.Helper()
	cache := must[*promptledger.PromptCache](t)(ledger.PromptCache(inTime(t), options...))
	t.Cleanup(cache.Close)
	return cache
}

// number is the version that a cache has; 0 where it has none.
func number(cache *promptledger.PromptCache, name, label string) int {
	version, ok := cache.Get(name, label)
	if !ok {
		return 0
	}
	return version.Number
}

func isStale(cache *promptledger.PromptCache) bool {
	_, stale := cache.StaleSince()
	return stale
}

func reached(t *testing.T, cache *promptledger.PromptCache, revision int64) {
	t.Helper()
	if err := cache.Reached(inTime(t), revision); err != nil {
		t.Fatal(err)
	}
}

func TestPromptsAreReadFromMemory(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchPrompts", everything().And(scripted.Hang{}))
	cache := openCache(t, connect(t, server), promptledger.WithNames("a", "b"), promptledger.WithNamePrefix("shop."))
	for _, each := range []struct {
		name, label string
		number      int
	}{{"a", "", 1}, {"a", "active", 1}, {"a", "staging", 2}, {"a", "latest", 0}, {"c", "", 0}, {"b", "", 5}} {
		if got := number(cache, each.name, each.label); got != each.number {
			t.Errorf("%+v: %d", each, got)
		}
	}
	if version, _ := cache.Get("a", "staging"); version.Template != "a 2" {
		t.Error(version)
	}
	prompt, ok := cache.Prompt("b")
	if _, unknown := cache.Prompt("c"); !ok || unknown || prompt.ActiveVersion != 5 || prompt.Version.Number != 5 {
		t.Error(prompt)
	}
	if !slices.Equal(cache.Names(), []string{"a", "b"}) || cache.Revision() != 7 || isStale(cache) || cache.Err() != nil {
		t.Error(cache.Names(), cache.Revision(), isStale(cache), cache.Err())
	}
	request := scripted.Requests[*pb.WatchPromptsRequest](server, "WatchPrompts")[0]
	if !slices.Equal(request.Names, []string{"a", "b"}) || request.NamePrefix != "shop." || request.AfterRevision != 0 {
		t.Error(request)
	}
	cache.Close()
	if number(cache, "a", "") != 1 || !isStale(cache) {
		t.Error("what is held can still be read")
	}
	wantError[*promptledger.ClientClosed](t, cache.Reached(inTime(t), 100))
	happens(t, server.HungUp)
}

func TestACacheThatDoesNotWaitSaysWhatItIs(t *testing.T) {
	server, gate := scripted.Start(t), make(chan struct{})
	server.On("WatchPrompts", scripted.Answer{scripted.PromptState("a", 0, 1), gate, scripted.PromptsSynced(7), scripted.Hang{}})
	cache := openCache(t, connect(t, server), promptledger.WithoutWaiting())
	wantError[*promptledger.NotSynced](t, cache.Err())
	if _, ok := cache.Prompt("a"); ok || number(cache, "a", "") != 0 || !isStale(cache) {
		t.Error("it is not filled yet")
	}
	close(gate)
	if err := cache.Synced(inTime(t)); err != nil || cache.Err() != nil || number(cache, "a", "") != 1 {
		t.Error(err, cache.Err())
	}
}

func TestChangesComeLiveAndAreTold(t *testing.T) {
	server, gate := scripted.Start(t), make(chan struct{})
	server.On("WatchPrompts", everything().And(gate, scripted.PromptState("a", 8, 2), scripted.PromptState("b", 9, 5),
		scripted.PromptState("b", 9, 6), scripted.Hang{}))
	cache := openCache(t, connect(t, server))
	changes := cache.Changes(inTime(t))
	listened := make(chan string, 10)
	stop := cache.OnChange(func(name string) { listened <- name })
	close(gate)
	var names []string
	for name, err := range changes {
		if err != nil {
			t.Fatal(err)
		}
		if names = append(names, name); name == "b" {
			break
		}
	}
	// The state that is told again is no change.
	if !slices.Equal(names, []string{"a", "b"}) || number(cache, "a", "") != 2 || number(cache, "a", "staging") != 0 {
		t.Error(names)
	}
	reached(t, cache, 9)
	if first, second := <-listened, <-listened; first != "a" || second != "b" {
		t.Error(first, second)
	}
	stop()
	cache.Close()
	for name, err := range cache.Changes(inTime(t)) {
		t.Error("it ends with the cache:", name, err)
	}
}

func TestWhatCannotBeReadYetIsToldOnceItCan(t *testing.T) {
	server, rest := scripted.Start(t), make(chan struct{})
	server.On("WatchPrompts", scripted.Answer{scripted.PromptState("a", 0, 1), rest, scripted.PromptsSynced(7), scripted.Hang{}})
	cache := openCache(t, connect(t, server), promptledger.WithoutWaiting())
	told := make(chan int, 10)
	defer cache.OnChange(func(name string) { told <- number(cache, name, "") })()
	for ctx := inTime(t); len(cache.Names()) == 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("nothing has come")
		}
	}
	// Nothing of what had come could be read yet, so it is told here too.
	changes := cache.Changes(inTime(t))
	select {
	case read := <-told:
		t.Error("told before it can be read:", read)
	case <-time.After(100 * time.Millisecond):
	}
	close(rest)
	for name, err := range changes {
		if name != "a" || err != nil || number(cache, name, "") != 1 {
			t.Error(name, err)
		}
		break
	}
	select {
	case read := <-told:
		if read != 1 || len(told) != 0 {
			t.Error(read, len(told))
		}
	case <-inTime(t).Done():
		t.Error("it was not told")
	}
}

func TestOfACacheThatIsNeverFilledNothingIsTold(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchPrompts", scripted.Answer{scripted.PromptState("a", 0, 1), scripted.Refuse(codes.Unauthenticated, "KEY_INVALID", -1)})
	cache := openCache(t, connect(t, server), promptledger.WithoutWaiting())
	for name, err := range cache.Changes(inTime(t)) {
		if name != "" {
			t.Error(name)
		}
		wantError[*promptledger.KeyInvalid](t, err)
	}
}

func TestWaitingForChangesEndsWithItsContext(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchPrompts", everything().And(scripted.Hang{}))
	cache := openCache(t, connect(t, server))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var ended error
	for _, err := range cache.Changes(ctx) {
		ended = err
	}
	wantError[*promptledger.Cancelled](t, ended)
}

func TestTheLastStateIsServedWhileTheServerIsAway(t *testing.T) {
	server, back, broke := scripted.Start(t), make(chan struct{}), make(chan struct{})
	server.On("WatchPrompts", everything().And(aged),
		scripted.Answer{func() { close(broke) }, back, scripted.PromptState("b", 9, 6), scripted.PromptsHeartbeat(9,
			false), scripted.Hang{}})
	before := time.Now()
	cache := openCache(t, connect(t, server))
	happens(t, broke)
	since, stale := cache.StaleSince()
	if !stale || since.Before(before) || since.After(time.Now()) || number(cache, "b", "") != 5 {
		t.Error(since, stale)
	}
	close(back)
	reached(t, cache, 9)
	if number(cache, "b", "") != 6 {
		t.Error(number(cache, "b", ""))
	}
	requests := scripted.Requests[*pb.WatchPromptsRequest](server, "WatchPrompts")
	if len(requests) != 2 || requests[1].AfterRevision != 7 {
		t.Error(requests)
	}
}

func TestWhatAnotherLedgerDoesNotHaveIsDropped(t *testing.T) {
	server, gate := scripted.Start(t), make(chan struct{})
	server.On("WatchPrompts", everything().And(gate, scripted.Refuse(codes.Internal, "", -1)),
		one(scripted.Refuse(codes.OutOfRange, "REVISION_AHEAD", -1)),
		scripted.Answer{scripted.PromptState("a", 0, 9), scripted.PromptsSynced(3), scripted.Hang{}})
	cache := openCache(t, connect(t, server))
	changes := cache.Changes(inTime(t))
	close(gate)
	var names []string
	for name, err := range changes {
		if err != nil {
			t.Fatal(err)
		}
		if names = append(names, name); len(names) == 2 {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) || !slices.Equal(cache.Names(), []string{"a"}) || number(cache, "a", "") != 9 {
		t.Error(names, cache.Names())
	}
	for i, request := range scripted.Requests[*pb.WatchPromptsRequest](server, "WatchPrompts") {
		if request.AfterRevision != []int64{0, 7, 0}[i] {
			t.Error(i, request)
		}
	}
}

func TestARefusalEndsTheFeedAndIsTold(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchPrompts", everything().And(scripted.Refuse(codes.Unauthenticated, "KEY_INVALID", -1)))
	ledger := connect(t, server)
	cache := openCache(t, ledger)
	wantError[*promptledger.KeyInvalid](t, cache.Reached(inTime(t), 100))
	wantError[*promptledger.KeyInvalid](t, cache.Err())
	var ended error
	for _, err := range cache.Changes(inTime(t)) {
		ended = err
	}
	wantError[*promptledger.KeyInvalid](t, ended)
	if number(cache, "a", "") != 1 || !isStale(cache) {
		t.Error("what is held can be read on")
	}
	server.On("WatchPrompts", one(scripted.Refuse(codes.Unauthenticated, "KEY_INVALID", -1)))
	// One that was never filled is an error at once.
	second := scripted.Start(t)
	second.On("WatchPrompts", one(scripted.Refuse(codes.Unauthenticated, "KEY_INVALID", -1)))
	_, err := connect(t, second).PromptCache(inTime(t))
	wantError[*promptledger.KeyInvalid](t, err)
}

func TestACacheThatIsBehindIsStale(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchPrompts", everything().And(scripted.PromptsHeartbeat(7, true), scripted.PromptState("b", 9, 6),
		scripted.Hang{}))
	cache := openCache(t, connect(t, server))
	reached(t, cache, 9)
	if number(cache, "b", "") != 6 || !isStale(cache) {
		t.Error(number(cache, "b", ""), isStale(cache))
	}
}

func TestWaitingForACacheEndsInTime(t *testing.T) {
	server, arrived := scripted.Start(t), make(chan struct{}, 1)
	server.On("WatchPrompts", scripted.Answer{func() { arrived <- struct{}{} }, scripted.Hang{}})
	ledger := connect(t, server)
	late, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := ledger.PromptCache(late)
	wantError[*promptledger.DeadlineExceeded](t, err)
	cache := openCache(t, ledger, promptledger.WithoutWaiting())
	happens(t, arrived)
	wantError[*promptledger.DeadlineExceeded](t, cache.Synced(late))
	cache.Close()
	happens(t, server.HungUp)
}

func TestACacheStartsFromTheFileOfItsLastRun(t *testing.T) {
	server, gate := scripted.Start(t), make(chan struct{})
	again := scripted.Answer{gate, scripted.PromptState("b", 0, 6), scripted.PromptsSynced(8), scripted.Hang{}}
	server.On("WatchPrompts", everything().And(scripted.Hang{}), again, one(scripted.Hang{}))
	log := &lockedBuffer{}
	ledger := connect(t, server, promptledger.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	kept := promptledger.WithFile(filepath.Join(t.TempDir(), "kept", "prompts"))
	openCache(t, ledger, kept).Close()
	second := openCache(t, ledger, kept)
	if number(second, "a", "staging") != 2 || !isStale(second) {
		t.Error("it is there at once, without the server")
	}
	close(gate)
	reached(t, second, 8)
	if !slices.Equal(second.Names(), []string{"b"}) || number(second, "b", "") != 6 {
		t.Error(second.Names())
	}
	if after := scripted.Requests[*pb.WatchPromptsRequest](server, "WatchPrompts")[1].AfterRevision; after != 0 {
		t.Error("nothing of a file outlives synced:", after)
	}
	second.Close()
	third := openCache(t, ledger, kept, promptledger.WithoutWaiting())
	if !slices.Equal(third.Names(), []string{"b"}) || third.Err() != nil {
		t.Error(third.Names(), third.Err())
	}
	// Of another selection it is not read, nor by another key, which may be of another project.
	wantError[*promptledger.NotSynced](t, openCache(t, ledger, kept, promptledger.WithNames("b"),
		promptledger.WithoutWaiting()).Err())
	others := connect(t, server, promptledger.WithAPIKey("pl_of-another-project"))
	wantError[*promptledger.NotSynced](t, openCache(t, others, kept, promptledger.WithoutWaiting()).Err())
	if !strings.Contains(log.String(), "the prompts kept in a file cannot be read") {
		t.Error(log.String())
	}
}

func TestACacheWorksWithoutItsFile(t *testing.T) {
	server := scripted.Start(t)
	server.On("WatchPrompts", everything().And(scripted.Hang{}))
	log := &lockedBuffer{}
	ledger := connect(t, server, promptledger.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cache := openCache(t, ledger, promptledger.WithFile(filepath.Join(inTheWay, "prompts")))
	cache.Close()
	if number(cache, "a", "") != 1 || !strings.Contains(log.String(), "the prompts could not be kept in a file") {
		t.Error(log.String())
	}
	_, err := ledger.PromptCache(t.Context(), promptledger.WithFile("x"), promptledger.WithNames("\xff"))
	wantError[*promptledger.InvalidField](t, err)
}

func TestAFileIsWrittenAsSoonAsTheCacheIsCurrentAndHasChanged(t *testing.T) {
	server, gate := scripted.Start(t), make(chan struct{})
	server.On("WatchPrompts", everything().And(gate, scripted.PromptsHeartbeat(7, false), scripted.PromptState("b", 8, 6),
		scripted.PromptsHeartbeat(8, false), scripted.Hang{}))
	path, kept := filepath.Join(t.TempDir(), "prompts"), newSignals("the prompts were kept in a file")
	cache := openCache(t, connect(t, server, promptledger.WithLogger(slog.New(kept))), promptledger.WithFile(path))
	happens(t, kept.logged)
	first := must[[]byte](t)(os.ReadFile(path))
	close(gate)
	happens(t, kept.logged)
	if second := must[[]byte](t)(os.ReadFile(path)); bytes.Equal(second, first) {
		t.Error("it has the change")
	}
	cache.Close()
	// Once more at the end, with the time up to which nothing was missing, and not where nothing had changed.
	if happens(t, kept.logged); len(kept.logged) != 0 {
		t.Error("it was written for no reason")
	}
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(content []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(content)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
