package promptledger

import (
	"context"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc"
)

// Option is an option of [Connect].
type Option func(*settings)

// settings are the options of Connect, checked.
type settings struct {
	explicit       profile
	profile        string
	allowPlaintext bool
	trackingOnly   bool
	// Deadline of calls that answer once, their repeats included.
	timeout time.Duration
	// How long a watch tries again without progress, and how long a stream may say nothing.
	patience, silence time.Duration
	dial              []grpc.DialOption
	headers           []func(context.Context) map[string]string
	logger            *slog.Logger
	// What follows from them.
	server, project string
	target          target
}

// WithServer names the server, http://HOST:PORT or https://HOST:PORT. With it, nothing of the address and the key is taken from
// the environment or a file.
func WithServer(address string) Option { return func(s *settings) { s.explicit.server = address } }

// WithAPIKey is what opens the server.
func WithAPIKey(key string) Option { return func(s *settings) { s.explicit.apiKey = key } }

// WithProject is for system keys alone, which open all projects.
func WithProject(name string) Option { return func(s *settings) { s.explicit.project = name } }

// WithTLSCA names a PEM file with the certificates that vouch for the server, instead of the system's. Refused with http.
func WithTLSCA(path string) Option { return func(s *settings) { s.explicit.tlsCA = path } }

// WithTLSCertificate names PEM files with the client's own certificate and its key, for servers that ask for one. Refused with
// http.
func WithTLSCertificate(certPath, keyPath string) Option {
	return func(s *settings) { s.explicit.tlsCert, s.explicit.tlsKey = certPath, keyPath }
}

// WithProfile names a profile of the file of profiles, instead of what the environment says.
func WithProfile(name string) Option { return func(s *settings) { s.profile = name } }

// WithAllowPlaintext lets the key go over http to another machine, where anyone on the way can read it.
func WithAllowPlaintext() Option { return func(s *settings) { s.allowPlaintext = true } }

// WithTrackingOnly says that all prompts are in code: Run, Stream and Submit execute such.
func WithTrackingOnly() Option { return func(s *settings) { s.trackingOnly = true } }

// WithTimeout is the deadline of calls that answer once, their repeats included; 30 s by default. Run and Execute have their own.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithPatience is how long a watch tries again without progress before it gives up; 5 min by default.
func WithPatience(patience time.Duration) Option { return func(s *settings) { s.patience = patience } }

// WithSilence is how long a stream may say nothing before it counts as broken; 45 s by default.
func WithSilence(silence time.Duration) Option { return func(s *settings) { s.silence = silence } }

// WithLogger is told of each call at debug level, and of each repeat at info level. Without it nothing is logged.
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithHeaders sends further headers with each call, such as those of a trace: what headers returns for the call's context. Keys
// are in lower case. For OpenTelemetry there is the module ledgerotel.
func WithHeaders(headers func(context.Context) map[string]string) Option {
	return func(s *settings) { s.headers = append(s.headers, headers) }
}

// WithDialOptions are options of gRPC's own, such as interceptors, which never see the key. They win over those of this package.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

func settingsOf(options []Option) (*settings, error) {
	result := &settings{
		timeout:  30 * time.Second,
		patience: 5 * time.Minute,
		silence:  45 * time.Second,
		logger:   slog.New(slog.DiscardHandler),
	}
	for _, option := range options {
		option(result)
	}
	for name, value := range map[string]time.Duration{
		"WithTimeout": result.timeout, "WithPatience": result.patience, "WithSilence": result.silence,
	} {
		if value <= 0 {
			return nil, invalidOptions("%s is to be more than 0", name)
		}
	}
	found, err := findProfile(result.explicit, result.profile, os.Getenv)
	if err != nil {
		return nil, err
	}
	result.server, result.project = found.server, found.project
	result.explicit = profile{}
	result.target, err = targetOf(found, result.allowPlaintext)
	return result, err
}
