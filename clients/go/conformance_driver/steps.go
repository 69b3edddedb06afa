package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

// step is one step of a scenario, with the arguments of all kinds.
type step struct {
	Do            string          `json:"do"`
	As            string          `json:"as"`
	Of            string          `json:"of"`
	ID            string          `json:"id"`
	Spec          *spec           `json:"spec"`
	Request       json.RawMessage `json:"request"`
	Filter        json.RawMessage `json:"filter"`
	Until         object          `json:"until"`
	Raise         bool            `json:"raise"`
	AfterSequence int64           `json:"after_sequence"`
	Timeout       *float64        `json:"timeout"`
	Reason        string          `json:"reason"`
	Name          string          `json:"name"`
	Names         []string        `json:"names"`
	NamePrefix    string          `json:"name_prefix"`
	PageSize      int             `json:"page_size"`
	Version       *int            `json:"version"`
	Etag          *string         `json:"etag"`
	Label         *string         `json:"label"`
	Variables     map[string]any  `json:"variables"`
	Prompts       []codePrompt    `json:"prompts"`
	DryRun        bool            `json:"dry_run"`
	SetActive     *bool           `json:"set_active"`
	Key           *string         `json:"idempotency_key"`
	MaxRetries    *int            `json:"max_retries"`
	Wait          *bool           `json:"wait"`
	Is            bool            `json:"is"`
}

func (s step) label() string {
	if s.Label == nil {
		return ""
	}
	return *s.Label
}

type action func(*driver, context.Context, step) error

var actions map[string]action

func init() {
	actions = map[string]action{
		"run": (*driver).run, "execute": (*driver).execute, "stream": (*driver).stream, "submit": (*driver).submit,
		"handle": (*driver).handle, "watch": (*driver).watch, "tail": (*driver).tail, "read": (*driver).read, "stop": (*driver).stop,
		"result": (*driver).result, "get": (*driver).get, "cancel": (*driver).cancel,
		"prompts.put": (*driver).put, "prompts.get": (*driver).getPrompt, "prompts.list": (*driver).list,
		"prompts.versions": (*driver).versions, "prompts.history": (*driver).history, "prompts.activate": (*driver).activate,
		"prompts.label": (*driver).setLabel, "prompts.render": (*driver).render, "prompts.archive": (*driver).archive,
		"prompts.changes": (*driver).changes, "prompts.batch_get": (*driver).batchGet, "register": (*driver).register,
		"cache.open": (*driver).openCache, "cache.get": (*driver).cacheGet, "cache.until": (*driver).cacheUntil,
		"cache.stale": (*driver).cacheStale, "pause": (*driver).pause,
	}
}

func (d *driver) run(ctx context.Context, told step) error {
	execution, err := d.ledger.Run(ctx, told.Spec.PromptName, told.Spec.Variables, told.Spec.options()...)
	if err != nil {
		return err
	}
	if err := d.say("result", seenExecution(execution)); err != nil || !told.Raise {
		return err
	}
	return execution.Err()
}

func (d *driver) execute(ctx context.Context, told step) error {
	var options []promptledger.RunOption
	if told.Key != nil {
		options = append(options, promptledger.WithIdempotencyKey(*told.Key))
	}
	if told.MaxRetries != nil {
		options = append(options, promptledger.WithMaxRetries(*told.MaxRetries))
	}
	if told.Timeout != nil {
		options = append(options, promptledger.WithProviderTimeout(seconds(*told.Timeout)))
	}
	execution, err := d.ledger.Execute(ctx, told.Name, told.Variables, options...)
	if err != nil {
		return err
	}
	return d.say("result", seenExecution(execution))
}

func (d *driver) stream(ctx context.Context, told step) error {
	return d.tell(ctx, d.ledger.Stream(ctx, told.Spec.PromptName, told.Spec.Variables, told.Spec.options()...), told)
}

func (d *driver) submit(ctx context.Context, told step) error {
	handle, err := d.ledger.Submit(ctx, told.Spec.PromptName, told.Spec.Variables, told.Spec.options()...)
	if err != nil {
		return err
	}
	d.begun[told.As] = handle
	return d.say("submitted", object{"execution_id": handle.ID, "status": word(handle.Status), "reused": handle.Reused})
}

func (d *driver) handle(_ context.Context, told step) error {
	d.begun[told.As] = d.ledger.Handle(told.ID)
	return nil
}

func (d *driver) known(told step) *promptledger.Handle {
	if handle, ok := d.begun[told.Of].(*promptledger.Handle); ok {
		return handle
	}
	return d.ledger.Handle(told.ID)
}

func (d *driver) watch(ctx context.Context, told step) error {
	return d.tell(ctx, d.known(told).Watch(ctx, promptledger.WithAfterSequence(told.AfterSequence)), told)
}

func (d *driver) tail(ctx context.Context, told step) error {
	filter, err := tailFilter(told.Filter)
	if err != nil {
		return err
	}
	return d.tell(ctx, d.ledger.Tail(ctx, filter), told)
}

func (d *driver) read(ctx context.Context, told step) error {
	return d.tell(ctx, d.begun[told.Of], told)
}

func (d *driver) stop(_ context.Context, told step) error {
	d.begun[told.Of].(interface{ Close() }).Close()
	delete(d.begun, told.Of)
	return nil
}

// tell prints updates, to the one that `until` tells or to the end.
func (d *driver) tell(ctx context.Context, reading any, told step) error {
	if told.As != "" {
		d.begun[told.As] = reading
	}
	for {
		update, err := nextUpdate(ctx, reading)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		saw, seen := seenUpdate(update)
		if err := d.say(saw, seen); err != nil {
			return err
		}
		seen["saw"] = saw
		if updates, ok := reading.(*promptledger.Updates); ok {
			seen["so_far"] = updates.Text()
		}
		if told.Until != nil && matches(seen, told.Until) {
			return nil
		}
	}
}

func nextUpdate(ctx context.Context, reading any) (any, error) {
	if tail, ok := reading.(*promptledger.Tail); ok {
		return tail.Next(ctx)
	}
	return reading.(*promptledger.Updates).Next(ctx)
}

// matches compares as JSON does, where all numbers are of one kind.
func matches(seen, until object) bool {
	text, err := json.Marshal(seen)
	if err != nil {
		return false
	}
	var line object
	if err := json.Unmarshal(text, &line); err != nil {
		return false
	}
	for name, value := range until {
		if !reflect.DeepEqual(line[name], value) {
			return false
		}
	}
	return true
}

func (d *driver) result(ctx context.Context, told step) error {
	if told.Timeout != nil {
		limited, cancel := context.WithTimeout(ctx, seconds(*told.Timeout))
		defer cancel()
		ctx = limited
	}
	execution, err := d.known(told).Result(ctx)
	if err != nil {
		return err
	}
	return d.say("result", seenExecution(execution))
}

func (d *driver) get(ctx context.Context, told step) error {
	execution, err := d.known(told).Get(ctx)
	if err != nil {
		return err
	}
	return d.say("execution", seenExecution(execution))
}

func (d *driver) cancel(ctx context.Context, told step) error {
	execution, err := d.known(told).Cancel(ctx, told.Reason)
	if err != nil {
		return err
	}
	return d.say("execution", seenExecution(execution))
}

func (d *driver) pause(context.Context, step) error {
	if err := d.say("pause", nil); err != nil {
		return err
	}
	_, err := d.input.ReadString('\n')
	return err
}
