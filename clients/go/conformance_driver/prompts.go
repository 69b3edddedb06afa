package main

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

// How long `cache.until` and `cache.stale` wait, and how often they look.
const (
	until = 60 * time.Second
	often = 5 * time.Millisecond
)

func (d *driver) put(ctx context.Context, told step) error {
	var request putRequest
	if err := json.Unmarshal(told.Request, &request); err != nil {
		return err
	}
	written, err := d.ledger.Prompts.Put(ctx, request.Name, request.content(), request.options()...)
	if err != nil {
		return err
	}
	return d.say("put", object{
		"name":           written.Prompt.Name,
		"version":        written.Version.Number,
		"version_change": written.VersionChange,
		"activated":      written.Activated,
	})
}

func (d *driver) getPrompt(ctx context.Context, told step) error {
	return d.sayPrompt(d.ledger.Prompts.Get(ctx, told.Name))
}

func (d *driver) sayPrompt(prompt *promptledger.Prompt, err error) error {
	if err != nil {
		return err
	}
	return d.say("prompt", seenPrompt(prompt))
}

func sayAll[T any](d *driver, saw string, items iter.Seq2[T, error], seen func(T) object) error {
	for item, err := range items {
		if err != nil {
			return err
		}
		if err := d.say(saw, seen(item)); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) list(ctx context.Context, told step) error {
	var request struct {
		NamePrefix string `json:"name_prefix"`
		PageSize   int    `json:"page_size"`
	}
	if err := json.Unmarshal(told.Request, &request); err != nil {
		return err
	}
	filter := promptledger.PromptFilter{NamePrefix: request.NamePrefix, PageSize: request.PageSize}
	return sayAll(d, "prompt", d.ledger.Prompts.List(ctx, filter), seenPrompt)
}

func (d *driver) versions(ctx context.Context, told step) error {
	versions := d.ledger.Prompts.Versions(ctx, told.Name, promptledger.WithPageSize(told.PageSize))
	return sayAll(d, "version", versions, seenVersion)
}

func (d *driver) history(ctx context.Context, told step) error {
	versions := d.ledger.Prompts.History(ctx, told.Name, promptledger.WithPageSize(told.PageSize))
	return sayAll(d, "version", versions, seenVersion)
}

func (d *driver) changes(ctx context.Context, told step) error {
	filter := promptledger.ChangeFilter{Name: told.Name, PageSize: told.PageSize}
	return sayAll(d, "change", d.ledger.Prompts.Changes(ctx, filter), seenChange)
}

func (d *driver) activate(ctx context.Context, told step) error {
	var options []promptledger.WriteOption
	if told.Etag != nil {
		options = append(options, promptledger.WithEtag(*told.Etag))
	}
	return d.sayPrompt(d.ledger.Prompts.Activate(ctx, told.Name, *told.Version, options...))
}

func (d *driver) setLabel(ctx context.Context, told step) error {
	return d.sayPrompt(d.ledger.Prompts.Label(ctx, told.Name, told.label(), *told.Version))
}

func (d *driver) archive(ctx context.Context, told step) error {
	return d.sayPrompt(d.ledger.Prompts.Archive(ctx, told.Name))
}

func (d *driver) render(ctx context.Context, told step) error {
	var options []promptledger.VersionOption
	if told.Version != nil {
		options = append(options, promptledger.WithVersion(*told.Version))
	}
	if told.Label != nil {
		options = append(options, promptledger.WithLabel(*told.Label))
	}
	rendered, err := d.ledger.Prompts.Render(ctx, told.Name, told.Variables, options...)
	if err != nil {
		return err
	}
	var messages []object
	for _, message := range rendered.Messages {
		messages = append(messages, object{"role": message.Role, "content": message.Content})
	}
	return d.say("rendered", object{"text": rendered.Text, "messages": messages})
}

func (d *driver) batchGet(ctx context.Context, told step) error {
	batch, err := d.ledger.Prompts.BatchGet(ctx, told.Names, told.label())
	if err != nil {
		return err
	}
	for _, prompt := range batch.Found {
		if err := d.sayPrompt(prompt, nil); err != nil {
			return err
		}
	}
	if len(batch.Missing) == 0 {
		return nil
	}
	return d.say("missing", object{"names": batch.Missing})
}

func (d *driver) register(ctx context.Context, told step) error {
	var source promptledger.CodePrompts
	for _, prompt := range told.Prompts {
		source = append(source, promptledger.CodePrompt{
			Name:         prompt.Name,
			Content:      promptledger.Template(prompt.TemplateSource),
			TemplateHash: prompt.TemplateHash,
		})
	}
	var options []promptledger.RegisterOption
	if told.DryRun {
		options = append(options, promptledger.WithDryRun())
	}
	if told.SetActive != nil {
		options = append(options, promptledger.WithSetActive(*told.SetActive))
	}
	registration, err := d.ledger.RegisterCodePrompts(ctx, source, options...)
	if err != nil {
		return err
	}
	for _, prompt := range registration.Registered {
		err := d.say("registered", object{
			"name":             prompt.Name,
			"action":           word(prompt.Action),
			"version":          prompt.Version,
			"previous_version": prompt.PreviousVersion,
			"change_detected":  prompt.ChangeDetected,
			"checksum_hash":    prompt.ChecksumHash,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) openCache(ctx context.Context, told step) error {
	options := []promptledger.CacheOption{
		promptledger.WithNames(told.Names...), promptledger.WithNamePrefix(told.NamePrefix),
	}
	waits := told.Wait == nil || *told.Wait
	if !waits {
		options = append(options, promptledger.WithoutWaiting())
	}
	cache, err := d.ledger.PromptCache(ctx, options...)
	if err != nil {
		return err
	}
	d.begun[told.As] = cache
	if !waits {
		return nil
	}
	return d.say("synced", nil)
}

func (d *driver) cache(told step) *promptledger.PromptCache {
	return d.begun[told.Of].(*promptledger.PromptCache)
}

func (d *driver) cacheGet(_ context.Context, told step) error {
	seen := object{"name": told.Name}
	if version, ok := d.cache(told).Get(told.Name, told.label()); ok {
		seen["version"], seen["template"] = version.Number, version.Template
	}
	return d.say("cached", seen)
}

func (d *driver) cacheUntil(ctx context.Context, told step) error {
	wait(func() bool {
		version, ok := d.cache(told).Get(told.Name, told.label())
		if !ok || told.Version == nil {
			return !ok && told.Version == nil
		}
		return version.Number == *told.Version
	})
	return d.cacheGet(ctx, told)
}

func (d *driver) cacheStale(_ context.Context, told step) error {
	isStale := func() bool {
		_, stale := d.cache(told).StaleSince()
		return stale
	}
	wait(func() bool { return isStale() == told.Is })
	return d.say("stale", object{"is": isStale()})
}

func wait(enough func() bool) {
	for ends := time.Now().Add(until); !enough() && time.Now().Before(ends); {
		time.Sleep(often)
	}
}
