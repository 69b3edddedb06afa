package promptledger

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// eventAnswer is what all streams about executions carry.
type eventAnswer interface{ GetEvent() *pb.ExecutionEvent }

// openEvents opens a stream about executions.
func openEvents(
	ctx context.Context, raw *Raw, request proto.Message, options ...grpc.CallOption,
) (receive[*pb.ExecutionEvent], error) {
	switch request := request.(type) {
	case *pb.WatchExecutionRequest:
		return events(raw.Executions.WatchExecution(ctx, request, options...))
	case *pb.StreamExecutionRequest:
		return events(raw.Executions.StreamExecution(ctx, request, options...))
	case *pb.StreamCodePromptRequest:
		return events(raw.Code.StreamCodePrompt(ctx, request, options...))
	case *pb.WatchExecutionsRequest:
		return events(raw.Executions.WatchExecutions(ctx, request, options...))
	default:
		return nil, errNoStream
	}
}

func events[A any, P interface {
	*A
	eventAnswer
}](stream grpc.ServerStreamingClient[A], err error) (receive[*pb.ExecutionEvent], error) {
	if err != nil {
		return nil, err
	}
	return func() (*pb.ExecutionEvent, error) {
		answer, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return P(answer).GetEvent(), nil
	}, nil
}

// openPrompts opens a stream about prompts.
func openPrompts(
	ctx context.Context, raw *Raw, request proto.Message, options ...grpc.CallOption,
) (receive[*pb.WatchPromptsResponse], error) {
	watch, ok := request.(*pb.WatchPromptsRequest)
	if !ok {
		return nil, errNoStream
	}
	stream, err := raw.Registry.WatchPrompts(ctx, watch, options...)
	if err != nil {
		return nil, err
	}
	return stream.Recv, nil
}
