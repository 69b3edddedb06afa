// Command bench measures this package against the generated stubs, at a server that has the prompts figures-00000 to
// figures-09999. It connects as every program does, and prints one line of JSON.
//
//	bench SECONDS
//
// SECONDS is the time of each measurement.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

const (
	prompts = 10_000
	callers = 8
	// Turns that the layer and the stub take, so that a drift of the machine hits both.
	turns = 10
	// As the layer has it by default.
	deadline = 30 * time.Second
)

type row struct {
	Call      string  `json:"call"`
	By        string  `json:"by"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
}

type figures struct {
	StartMS    float64 `json:"start_ms"`
	Rows       []row   `json:"rows"`
	CacheBytes int64   `json:"cache_bytes"`
}

func main() {
	began := time.Now()
	if err := measure(began); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(began time.Time) error {
	ctx := context.Background()
	ledger, err := promptledger.Connect()
	if err != nil {
		return err
	}
	defer ledger.Close()
	if _, err := ledger.Prompts.Get(ctx, name(0)); err != nil {
		return err
	}
	result := figures{StartMS: float64(time.Since(began)) / float64(time.Millisecond)}
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: bench SECONDS")
	}
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		return err
	}
	duration := time.Duration(seconds * float64(time.Second))
	before := liveBytes()
	cache, err := ledger.PromptCache(ctx, promptledger.WithNamePrefix("figures-"))
	if err != nil {
		return err
	}
	defer cache.Close()
	result.CacheBytes = liveBytes() - before
	reads, err := readCache(cache, duration)
	if err != nil {
		return err
	}
	gets, err := compare("prompts.get", getByLayer(ledger), getByStub(ledger), duration)
	if err != nil {
		return err
	}
	submits, err := compare("submit", submitByLayer(ledger), submitByStub(ledger), duration)
	if err != nil {
		return err
	}
	result.Rows = slices.Concat([]row{reads}, gets, submits)
	return json.NewEncoder(os.Stdout).Encode(result)
}

func name(number int) string { return fmt.Sprintf("figures-%05d", number) }

func liveBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// readCache measures reads in blocks: one is shorter than the clock is exact.
func readCache(cache *promptledger.PromptCache, duration time.Duration) (row, error) {
	const block = 100
	names := make([]string, prompts)
	for i := range names {
		names[i] = name(i)
	}
	var took []time.Duration
	at := 0
	for began := time.Now(); time.Since(began) < duration; {
		start := time.Now()
		for range block {
			if _, ok := cache.Get(names[at], ""); !ok {
				return row{}, fmt.Errorf("%s is not in the cache", names[at])
			}
			at = (at + 1) % prompts
		}
		took = append(took, time.Since(start))
	}
	result := summary("cache.get", "layer", took, duration)
	result.PerSecond *= block
	result.P50, result.P99 = result.P50/block, result.P99/block
	return result, nil
}

type caller func(ctx context.Context, number int) error

func getByLayer(ledger *promptledger.Client) caller {
	return func(ctx context.Context, number int) error {
		_, err := ledger.Prompts.Get(ctx, name(number%prompts))
		return err
	}
}

func getByStub(ledger *promptledger.Client) caller {
	return func(ctx context.Context, number int) error {
		ctx, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		_, err := ledger.Raw.Registry.GetPrompt(ctx, &pb.GetPromptRequest{Name: name(number % prompts)})
		return err
	}
}

func submitByLayer(ledger *promptledger.Client) caller {
	return func(ctx context.Context, _ int) error {
		_, err := ledger.Submit(ctx, name(0), nil, promptledger.WithModel("echo/echo"))
		return err
	}
}

func submitByStub(ledger *promptledger.Client) caller {
	var number atomic.Int64
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	return func(ctx context.Context, _ int) error {
		ctx, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		spec := &pb.ExecutionSpec{
			PromptName:     name(0),
			Model:          &pb.ModelRef{Provider: "echo", ModelName: "echo"},
			IdempotencyKey: fmt.Sprintf("bench-%s-%016x", run, number.Add(1)),
		}
		_, err := ledger.Raw.Executions.SubmitExecution(ctx, &pb.SubmitExecutionRequest{Spec: spec})
		return err
	}
}

// compare lets the layer and the stub call in turns.
func compare(call string, layer, stub caller, duration time.Duration) ([]row, error) {
	var ofLayer, ofStub []time.Duration
	for range turns {
		for _, each := range []struct {
			call caller
			took *[]time.Duration
		}{{layer, &ofLayer}, {stub, &ofStub}} {
			took, err := turn(each.call, duration/turns)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", call, err)
			}
			*each.took = append(*each.took, took...)
		}
	}
	return []row{summary(call, "layer", ofLayer, duration), summary(call, "stub", ofStub, duration)}, nil
}

// turn lets all callers call for a while.
func turn(call caller, duration time.Duration) ([]time.Duration, error) {
	var took [callers][]time.Duration
	var failures [callers]error
	var running sync.WaitGroup
	ends := time.Now().Add(duration)
	for i := range callers {
		running.Go(func() {
			for number := i; time.Now().Before(ends); number += callers {
				start := time.Now()
				if failures[i] = call(context.Background(), number); failures[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	running.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(took[:]...), nil
}

func summary(call, by string, took []time.Duration, duration time.Duration) row {
	slices.Sort(took)
	microseconds := func(share float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Microsecond)
	}
	return row{call, by, float64(len(took)) / duration.Seconds(), microseconds(0.5), microseconds(0.99)}
}
