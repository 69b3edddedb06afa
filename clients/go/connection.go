package promptledger

import (
	"context"
	"maps"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

const (
	// HTTP/2 window of a stream, in bytes: what a reader leaves unread beyond it stays in the server, which thereby detects it.
	streamWindow = 64 * 1024
	// That of the connection. gRPC gives it back as soon as bytes arrive, so a stream that is not read takes nothing from others.
	connectionWindow = 1024 * 1024
	// An execution encodes to less than 3 MiB, a page or a change of a prompt to less still.
	largestAnswer = 8 * 1024 * 1024
)

// connect returns a connection that is made with the first call, and again when it breaks.
func connect(s *settings) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		// Retries are this package's alone. What gRPC knows the server not to have seen, it still sends again by itself.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		// A ping every 20 s while calls are open, answered within 10 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connectionWindow),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
		// A connection is given 10 s. This package paces what it tries again: a new connection is not to keep it waiting.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithUserAgent("prompt-ledger-go/" + Version),
		grpc.WithPerRPCCredentials(headers{s.target.headers, s.headers}),
	}
	if s.target.tls != nil {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(s.target.tls)))
	} else {
		// A proxy would read what is sent in plain text, the key too.
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	}
	conn, err := grpc.NewClient(s.target.address, append(options, s.dial...)...)
	if err != nil {
		return nil, invalidOptions("gRPC refuses the options: %v", err)
	}
	return conn, nil
}

// headers are sent with each call. As credentials of gRPC they are neither seen by interceptors nor logged.
type headers struct {
	fixed map[string]string
	more  []func(context.Context) map[string]string
}

func (h headers) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if len(h.more) == 0 {
		return h.fixed, nil
	}
	all := map[string]string{}
	for _, more := range h.more {
		maps.Copy(all, more(ctx))
	}
	maps.Copy(all, h.fixed)
	return all, nil
}

// RequireTransportSecurity is decided before: a key goes in plain text to this machine alone, or where that is allowed.
func (headers) RequireTransportSecurity() bool { return false }

// String hides the key.
func (headers) String() string { return "headers" }

// GoString hides the key.
func (headers) GoString() string { return "headers" }

// Raw are the generated stubs over the client's connection, for all that this package does not have. They carry the key. Their
// errors are gRPC's, and nothing is repeated.
type Raw struct {
	Registry   pb.RegistryServiceClient
	Executions pb.ExecutionServiceClient
	Code       pb.CodeRegistrationServiceClient
	Analytics  pb.AnalyticsServiceClient
}

func rawStubs(conn grpc.ClientConnInterface) *Raw {
	return &Raw{
		Registry:   pb.NewRegistryServiceClient(conn),
		Executions: pb.NewExecutionServiceClient(conn),
		Code:       pb.NewCodeRegistrationServiceClient(conn),
		Analytics:  pb.NewAnalyticsServiceClient(conn),
	}
}
