// Package scripted is a server for tests, over real gRPC, that answers as it is told and keeps what it was asked.
package scripted

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"

	// Registers the methods.
	_ "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Key is a key that nothing may show.
const Key = "pl_very-secret"

// Refusal is an error. Without a reason it has no details, as when a proxy answers.
type Refusal struct {
	Code     codes.Code
	Reason   string
	Retry    *time.Duration
	Metadata map[string]string
	Fields   map[string]string
}

// Refuse is an error of the server's own, with a delay where retry is not negative.
func Refuse(code codes.Code, reason string, retry time.Duration) Refusal {
	refusal := Refusal{Code: code, Reason: reason}
	if retry >= 0 {
		refusal.Retry = &retry
	}
	return refusal
}

func (r Refusal) err() error {
	result := status.New(r.Code, "said so")
	if r.Reason == "" {
		return result.Err()
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: r.Reason, Domain: "promptledger.dev", Metadata: r.Metadata}}
	if r.Retry != nil {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(*r.Retry)})
	}
	if r.Fields != nil {
		request := &errdetails.BadRequest{}
		for field, problem := range r.Fields {
			violation := &errdetails.BadRequest_FieldViolation{Field: field, Description: problem}
			request.FieldViolations = append(request.FieldViolations, violation)
		}
		details = append(details, request)
	}
	detailed, err := result.WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return detailed.Err()
}

// Hang is nothing more, until the client hangs up.
type Hang struct{}

// Answer is what a call is answered, in order: messages, a [Refusal] or [Hang] at its end, channels that are waited for, and
// functions that are called.
type Answer []any

// Asked is a call as it arrived.
type Asked struct {
	Method  string
	Request proto.Message
	Headers metadata.MD
	// 0: there was none.
	Deadline time.Duration
}

// Server is a running server.
type Server struct {
	Address string
	// HungUp is closed once a client has ended a call before its answer was over.
	HungUp chan struct{}

	once    sync.Once
	mu      sync.Mutex
	answers map[string][]Answer
	asked   []Asked
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{
		Address: "http://" + listener.Addr().String(),
		HungUp:  make(chan struct{}),
		answers: map[string][]Answer{},
	}
	serving := grpc.NewServer(grpc.UnknownServiceHandler(server.handle))
	go func() { _ = serving.Serve(listener) }()
	t.Cleanup(serving.Stop)
	return server
}

// On scripts the answers of a method: each call takes the next one, and the last one is repeated.
func (s *Server) On(method string, answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[method] = append(s.answers[method], answers...)
}

// Asked returns all calls so far.
func (s *Server) Asked() []Asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Asked(nil), s.asked...)
}

// Requests returns what a method was asked so far.
func Requests[M proto.Message](s *Server, method string) []M {
	var requests []M
	for _, asked := range s.Asked() {
		if asked.Method == method {
			requests = append(requests, asked.Request.(M))
		}
	}
	return requests
}

func (s *Server) handle(_ any, stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	service, method, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	request, err := requestOf(service, method)
	if err != nil {
		return err
	}
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	answer, ok := s.next(stream.Context(), method, request)
	if !ok {
		return status.Errorf(codes.FailedPrecondition, "nothing is scripted for %s", method)
	}
	return s.play(stream, answer)
}

func requestOf(service, method string) (proto.Message, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, err
	}
	input := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method)).Input()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(input.FullName())
	if err != nil {
		return nil, err
	}
	return kind.New().Interface(), nil
}

func (s *Server) next(ctx context.Context, method string, request proto.Message) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := Asked{Method: method, Request: request}
	asked.Headers, _ = metadata.FromIncomingContext(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		asked.Deadline = time.Until(deadline)
	}
	s.asked = append(s.asked, asked)
	answers := s.answers[method]
	if len(answers) == 0 {
		return nil, false
	}
	if len(answers) > 1 {
		s.answers[method] = answers[1:]
	}
	return answers[0], true
}

func (s *Server) play(stream grpc.ServerStream, answer Answer) error {
	gone := stream.Context().Done()
	hungUp := func() error {
		s.once.Do(func() { close(s.HungUp) })
		return stream.Context().Err()
	}
	for _, item := range answer {
		switch item := item.(type) {
		case Refusal:
			return item.err()
		case Hang:
			<-gone
			return hungUp()
		case chan struct{}:
			select {
			case <-item:
			case <-gone:
				return hungUp()
			}
		case func():
			item()
		case proto.Message:
			if err := stream.SendMsg(item); err != nil {
				return hungUp()
			}
		default:
			panic("no item of an answer")
		}
	}
	return nil
}
