package ledgerotel_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/ledgerotel"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// registry keeps the headers that it was asked with.
type registry struct {
	pb.UnimplementedRegistryServiceServer
	asked chan metadata.MD
}

func (r registry) GetPrompt(ctx context.Context, _ *pb.GetPromptRequest) (*pb.GetPromptResponse, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	r.asked <- headers
	return &pb.GetPromptResponse{}, nil
}

func TestTheTraceContextIsSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, asked := grpc.NewServer(), make(chan metadata.MD, 1)
	pb.RegisterRegistryServiceServer(serving, registry{asked: asked})
	go func() { _ = serving.Serve(listener) }()
	defer serving.Stop()
	ledger, err := promptledger.Connect(
		promptledger.WithServer("http://"+listener.Addr().String()), promptledger.WithAPIKey("pl_key"), ledgerotel.WithTraceContext())
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	for _, each := range []struct {
		ctx         context.Context
		traceparent []string
	}{
		{t.Context(), nil},
		{trace.ContextWithSpanContext(t.Context(), span), []string{"00-01000000000000000000000000000000-0200000000000000-01"}},
	} {
		if _, err := ledger.Prompts.Get(each.ctx, "greet"); err != nil {
			t.Fatal(err)
		}
		if headers := <-asked; !slices.Equal(headers["traceparent"], each.traceparent) || !slices.Equal(headers["x-api-key"], []string{"pl_key"}) {
			t.Error(headers)
		}
	}
}
