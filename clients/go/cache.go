package promptledger

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// PromptCache has prompts in memory, each with its active version and those that its labels point at, as they are in the ledger.
//
// A change is here within a moment of its write. Reading is no call and never waits. While the server is away the last state is
// served, and [PromptCache.StaleSince] says since when. However often a stream breaks, another is opened: only a refusal that
// would be repeated ends that, such as a key that is revoked ([PromptCache.Err]). Close ends it.
type PromptCache struct {
	held heldPrompts
	// There is something to read: of the server, or of the file.
	filled atomic.Bool

	mu       sync.Mutex
	revision int64
	// Everything that was there has been told by the server.
	synced bool
	stale  bool
	// When the last message came by which nothing was missing.
	currentAt time.Time
	// Why it will not be fed any more.
	failure error
	// Closed by Close: that is no failure.
	closed bool
	// Closed, and replaced, with each change of the above.
	changed chan struct{}

	following *following[*pb.WatchPromptsResponse, promptUpdate]
	file      *cacheFile
	logger    *slog.Logger
	// Has room for one signal: the file is to be written.
	keep chan struct{}
	// Closed once it is fed no more, and its file is written.
	done chan struct{}
}

// CacheOption is an option of [Client.PromptCache].
type CacheOption func(*cacheOptions)

type cacheOptions struct {
	names      []string
	namePrefix string
	file       string
	background bool
}

// WithNames are the names of prompts to hold, also of such as do not exist yet; at most 1,000.
func WithNames(names ...string) CacheOption {
	return func(o *cacheOptions) { o.names = append(o.names, names...) }
}

// WithNamePrefix holds the prompts whose names begin with this. Without it and without names all prompts are held.
func WithNamePrefix(prefix string) CacheOption {
	return func(o *cacheOptions) { o.namePrefix = prefix }
}

// WithFile keeps the prompts in a file, for the next start, which then need not wait for the server. A file of another server,
// project, key or selection is ignored, and replaced: so the first start with a new key waits. The file does not have the key.
func WithFile(path string) CacheOption { return func(o *cacheOptions) { o.file = path } }

// WithoutWaiting returns the cache at once: until it is filled, nothing is found, and [PromptCache.Err] is a [NotSynced].
func WithoutWaiting() CacheOption { return func(o *cacheOptions) { o.background = true } }

// PromptCache keeps prompts in memory, as they are in the ledger, until Close. It returns once it is filled, by its file or by the
// server; ctx bounds that alone.
func (c *Client) PromptCache(ctx context.Context, options ...CacheOption) (*PromptCache, error) {
	var chosen cacheOptions
	for _, option := range options {
		option(&chosen)
	}
	cache, err := newPromptCache(c.transport, chosen)
	if err != nil {
		return nil, err
	}
	if !chosen.background && !cache.filled.Load() {
		if err := cache.Synced(ctx); err != nil {
			cache.Close()
			return nil, err
		}
	}
	return cache, nil
}

func newPromptCache(t *transport, chosen cacheOptions) (*PromptCache, error) {
	cache := &PromptCache{
		stale:     true,
		currentAt: time.Now(),
		changed:   make(chan struct{}),
		logger:    t.logger,
		keep:      make(chan struct{}, 1),
		done:      make(chan struct{}),
	}
	if chosen.file != "" {
		watch := &pb.WatchPromptsRequest{Names: chosen.names, NamePrefix: chosen.namePrefix}
		file, err := newCacheFile(chosen.file, t.settings, watch)
		if err != nil {
			return nil, invalidField("names", "%v", err)
		}
		cache.file = file
		cache.load()
	}
	prompts := reader[*pb.WatchPromptsResponse, promptUpdate](&promptReader{names: chosen.names, namePrefix: chosen.namePrefix})
	// What is held is of use however long the server is away.
	cache.following = follow(context.Background(), t, openPrompts, prompts, forever)
	go cache.feed()
	go cache.keepFile()
	return cache, nil
}

// Get returns the active version of a prompt, or the one that a label points at. An empty label, and "active", are the active
// version; "latest" is not held. False: there is no such prompt or label, it is not watched, or the cache is not filled yet.
func (c *PromptCache) Get(name, label string) (*PromptVersion, bool) {
	if !c.filled.Load() {
		return nil, false
	}
	held := c.held.get(name)
	if held == nil {
		return nil, false
	}
	version := held.version(label)
	return version, version != nil
}

// Prompt returns the prompt of this name, archived ones too. False as for Get.
func (c *PromptCache) Prompt(name string) (*Prompt, bool) {
	if !c.filled.Load() {
		return nil, false
	}
	held := c.held.get(name)
	if held == nil {
		return nil, false
	}
	return held.prompt, true
}

// Names returns the names of the prompts that are held, sorted.
func (c *PromptCache) Names() []string { return c.held.names() }

// Synced waits until the server has told every prompt that is watched; not needed where a file was read.
func (c *PromptCache) Synced(ctx context.Context) error {
	return c.until(ctx, func() bool { return c.synced })
}

// Reached waits until every change up to this revision is here, such as the one that a write answered.
func (c *PromptCache) Reached(ctx context.Context, revision int64) error {
	return c.until(ctx, func() bool { return c.synced && c.revision >= revision })
}

// Changes yields the names of prompts that change from now on, or have come, or are gone, once their new states can be read: of a
// cache that is not filled yet, those of all that it is filled with.
// Several changes of a prompt may be told as one; a slow reader delays nobody. It ends when the cache is closed, and with an error
// when ctx ends, or when the cache will not be fed any more.
func (c *PromptCache) Changes(ctx context.Context) iter.Seq2[string, error] {
	seen := uint64(0)
	c.mu.Lock()
	if c.filled.Load() {
		seen = c.held.log.edition
	}
	c.mu.Unlock()
	return func(yield func(string, error) bool) {
		for {
			err := c.until(ctx, func() bool { return c.hasNews(seen) })
			var names []string
			c.mu.Lock()
			if c.hasNews(seen) {
				names, seen = c.held.log.since(seen), c.held.log.edition
			}
			c.mu.Unlock()
			for _, name := range names {
				if !yield(name, nil) {
					return
				}
			}
			if err != nil {
				if _, closed := errors.AsType[*ClientClosed](err); !closed {
					yield("", err)
				}
				return
			}
		}
	}
}

// hasNews says whether there are changes after an edition that can be read. Whoever calls it holds the mutex.
func (c *PromptCache) hasNews(seen uint64) bool { return c.filled.Load() && c.held.log.edition > seen }

// OnChange calls a listener with the name after each change, in a goroutine of its own. It returns what ends that.
func (c *PromptCache) OnChange(listener func(name string)) (stop func()) {
	ctx, stop := context.WithCancel(context.Background())
	changes := c.Changes(ctx)
	go func() {
		for name, err := range changes {
			if err != nil || ctx.Err() != nil {
				return
			}
			listener(name)
		}
	}()
	return stop
}

// Revision returns the project's revision up to which every change is here.
func (c *PromptCache) Revision() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revision
}

// StaleSince returns since when changes may be missing. False: the cache is current.
func (c *PromptCache) StaleSince() (since time.Time, stale bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stale {
		return time.Time{}, false
	}
	return c.currentAt, true
}

// Err returns why the cache will not be fed any more, or a [NotSynced] where it is not filled yet. What is held can be read on.
func (c *PromptCache) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil && !c.filled.Load() {
		return &NotSynced{clientError(codes.Unavailable, "the prompt cache has not been filled yet")}
	}
	return c.failure
}

// Close ends the watch, and writes the file. What is held can still be read.
func (c *PromptCache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.following.close()
	<-c.done
}

// until waits for what is guarded by the mutex.
func (c *PromptCache) until(ctx context.Context, enough func() bool) error {
	for {
		c.mu.Lock()
		ok, changed, failure := enough(), c.changed, c.failure
		c.mu.Unlock()
		switch {
		case ok:
			return nil
		case failure != nil:
			return failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return contextEnded(ctx)
		}
	}
}

func (c *PromptCache) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.changed)
	c.changed = make(chan struct{})
}

// feed reads the stream to its end.
func (c *PromptCache) feed() {
	defer close(c.keep)
	for {
		update, err := c.following.next(context.Background())
		if err != nil {
			c.change(func() { c.stale, c.failure = true, c.ended(err) })
			return
		}
		c.apply(update)
	}
}

// ended is what further waiting returns.
func (c *PromptCache) ended(err error) error {
	if errors.Is(err, io.EOF) || c.closed {
		return clientClosed()
	}
	return err
}

func (c *PromptCache) apply(update promptUpdate) {
	switch update := update.(type) {
	case promptPut:
		if name, changed := c.held.put(update.state); changed {
			c.change(func() { c.held.log.add(name) })
		}
	case promptsOnly:
		gone := c.held.keepOnly(update.names)
		c.change(func() {
			for _, name := range gone {
				c.held.log.add(name)
			}
		})
	case promptsReached:
		c.change(func() { c.revision = update.revision })
	case promptsCurrent:
		c.filled.Store(true)
		c.change(func() { c.synced, c.stale, c.currentAt = true, false, time.Now() })
		signal(c.keep)
	case promptsBehind:
		c.change(func() { c.stale = true })
	}
}

// load begins with what the file holds. A file that cannot be read is ignored, and replaced.
func (c *PromptCache) load() {
	states, currentAt, err := c.file.read()
	if err != nil {
		c.logger.Warn("the prompts kept in a file cannot be read", "file", c.file.path, "error", err)
		return
	}
	if currentAt.IsZero() {
		return
	}
	for _, state := range states {
		c.held.put(state)
	}
	c.currentAt = currentAt
	c.filled.Store(true)
}

// keepFile writes the file once something has changed, and at the end.
func (c *PromptCache) keepFile() {
	defer close(c.done)
	kept, isKept := uint64(0), false
	write := func() {
		c.mu.Lock()
		edition, synced, currentAt := c.held.log.edition, c.synced, c.currentAt
		c.mu.Unlock()
		if c.file == nil || !synced {
			return
		}
		if err := c.file.write(&c.held, currentAt); err != nil {
			c.logger.Warn("the prompts could not be kept in a file", "file", c.file.path, "error", err)
			return
		}
		kept, isKept = edition, true
		c.logger.Debug("the prompts were kept in a file", "file", c.file.path)
	}
	for range c.keep {
		c.mu.Lock()
		edition := c.held.log.edition
		c.mu.Unlock()
		if !isKept || edition != kept {
			write()
		}
	}
	// With the time up to which nothing was missing.
	write()
}
