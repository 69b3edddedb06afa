// Package ledgertest runs a ledger for tests: `prompt-ledger dev` on free ports of this machine, with echo as its model, in a
// folder that is removed with it.
//
//	func TestGreeting(t *testing.T) {
//		ledger := ledgertest.Server(t).Connect(t)
//		...
//	}
package ledgertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

const (
	// How long the server may take to start, and to end once it is told to.
	startTime = 60 * time.Second
	endTime   = 15 * time.Second
	// How much of its log is shown where it did not start, in bytes.
	shownLog = 4_000
)

// Of this process's environment, what the server's system needs. Nothing of it configures a ledger.
var inherited = []string{"PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"}

// DevServer is a running server. It ends with this process at the latest.
type DevServer struct {
	// Address is where it serves gRPC: http://HOST:PORT.
	Address string
	// HTTP and Metrics are where it serves those.
	HTTP    string
	Metrics string
	APIKey  string

	command *exec.Cmd
	stdin   io.Closer
	stdout  io.Reader
	folder  string
}

// Option is an option of [Server] and [Start].
type Option func(*options)

type options struct {
	binary      string
	environment map[string]string
	arguments   []string
}

// WithBinary names the program; else it is that of PROMPT_LEDGER_BIN, of the PATH, or of the target of a workspace around the
// working folder.
func WithBinary(path string) Option { return func(o *options) { o.binary = path } }

// WithEnvironment are settings of the server.
func WithEnvironment(settings map[string]string) Option {
	return func(o *options) { maps.Copy(o.environment, settings) }
}

// WithArguments are further arguments of `prompt-ledger dev`.
func WithArguments(arguments ...string) Option {
	return func(o *options) { o.arguments = append(o.arguments, arguments...) }
}

// Server starts a server that ends with the test. The test fails where it does not start.
func Server(t testing.TB, options ...Option) *DevServer {
	t.Helper()
	server, err := Start(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Start starts a server and returns once it serves, for a TestMain that shares one among tests.
func Start(given ...Option) (*DevServer, error) {
	chosen := options{environment: map[string]string{"DEFAULT_MODEL": "echo/echo"}}
	for _, option := range given {
		option(&chosen)
	}
	binary, err := findBinary(chosen.binary)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "prompt-ledger-")
	if err != nil {
		return nil, err
	}
	server := &DevServer{folder: folder}
	if err := server.start(binary, chosen); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}

func (s *DevServer) start(binary string, chosen options) error {
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	arguments := []string{"dev", "--ready-json", "--exit-with-stdin", "--data-dir", filepath.Join(s.folder, "data")}
	command := exec.Command(binary, append(arguments, chosen.arguments...)...)
	command.Dir, command.Stderr, command.Env = s.folder, log, environment(chosen.environment)
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.command, s.stdin, s.stdout = command, stdin, stdout
	return s.ready(stdout)
}

// ready reads what it says once it serves.
func (s *DevServer) ready(stdout io.Reader) error {
	late := time.AfterFunc(startTime, func() { _ = s.command.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		// The log is whole once it has ended.
		_ = s.command.Wait()
		log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		return fmt.Errorf("the server did not start:\n%s", log[max(0, len(log)-shownLog):])
	}
	var said struct{ GRPC, HTTP, Metrics, Key string }
	if err := json.Unmarshal(line, &said); err != nil {
		return fmt.Errorf("the server said something else than where it serves: %w", err)
	}
	s.Address, s.HTTP, s.Metrics, s.APIKey = said.GRPC, said.HTTP, said.Metrics, said.Key
	return nil
}

// Connect returns a client of the server, which is closed with the test.
func (s *DevServer) Connect(t testing.TB, options ...promptledger.Option) *promptledger.Client {
	t.Helper()
	own := []promptledger.Option{promptledger.WithServer(s.Address), promptledger.WithAPIKey(s.APIKey)}
	ledger, err := promptledger.Connect(append(own, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	return ledger
}

// Close ends the server, and removes what it kept.
func (s *DevServer) Close() error {
	if s.command != nil && s.command.ProcessState == nil {
		late := time.AfterFunc(endTime, func() { _ = s.command.Process.Kill() })
		defer late.Stop()
		_ = s.stdin.Close()
		_, _ = io.Copy(io.Discard, s.stdout)
		if err := s.command.Wait(); err != nil {
			return errors.Join(fmt.Errorf("the server ended badly: %w", err), os.RemoveAll(s.folder))
		}
	}
	return os.RemoveAll(s.folder)
}

func environment(settings map[string]string) []string {
	var variables []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			variables = append(variables, name+"="+value)
		}
	}
	for name, value := range settings {
		variables = append(variables, name+"="+value)
	}
	return variables
}
