// Package ledgerotel sends the trace context of OpenTelemetry with each call of a client of Prompt Ledger.
//
//	ledger, err := promptledger.Connect(ledgerotel.WithTraceContext())
//
// It is a module of its own, so that the client itself does not depend on OpenTelemetry. Spans of the calls are made by gRPC's own
// instrumentation, which also sends the context: with [promptledger.WithDialOptions] and a stats handler of otelgrpc, this is not needed.
package ledgerotel

import (
	"context"

	"go.opentelemetry.io/otel/propagation"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

// WithTraceContext sends the span of each call's context in the form of the W3C, whatever the global propagator is: that is what the
// server reads.
func WithTraceContext() promptledger.Option {
	return WithPropagator(propagation.TraceContext{})
}

// WithPropagator sends what the propagator writes of each call's context.
func WithPropagator(propagator propagation.TextMapPropagator) promptledger.Option {
	return promptledger.WithHeaders(func(ctx context.Context) map[string]string {
		carrier := propagation.MapCarrier{}
		propagator.Inject(ctx, carrier)
		return carrier
	})
}
