package promptledger_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The programs of the README, and what is around those of its blocks that are parts of one.
const (
	around = `package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

func main() {
	ctx := context.Background()
	ledger, err := promptledger.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer ledger.Close()
	for _, part := range []func(context.Context, *promptledger.Client) error{PARTS} {
		if err := part(ctx, ledger); err != nil {
			log.Fatal(err)
		}
	}
	if errors.Is(err, context.Canceled) {
		fmt.Println(err)
	}
}
`
	aroundTest = `package main

import (
	"testing"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/ledgertest"
)

`
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

func TestTheBlocksOfTheReadmeRun(t *testing.T) {
	readme := string(must[[]byte](t)(os.ReadFile("README.md")))
	server, err := dev()
	if err != nil {
		t.Fatal(err)
	}
	project := newProject(t)
	var parts, names strings.Builder
	counts := map[string]int{}
	for _, block := range goBlock.FindAllStringSubmatch(readme, -1) {
		switch code := block[1]; {
		case strings.HasPrefix(code, "package main"):
			counts["programs"]++
			project.write("ten/main.go", code)
		case strings.HasPrefix(code, "func Test"):
			counts["tests"]++
			project.write("parts/main_test.go", aroundTest+code)
		default:
			counts["parts"]++
			name := "part" + strings.Repeat("x", counts["parts"])
			names.WriteString(name + ", ")
			parts.WriteString("\nfunc " + name + "(ctx context.Context, ledger *promptledger.Client) error {\n" + code + "return nil\n}\n")
		}
	}
	if counts["programs"] != 1 || counts["tests"] != 1 || counts["parts"] != 4 {
		t.Fatal(counts)
	}
	project.write("parts/main.go", strings.Replace(around, "PARTS", names.String(), 1)+parts.String())
	project.write("parts/prompts/mail/welcome.hbs", "Hello {{name}}.")
	environment := []string{"LEDGER_SERVER=" + server.Address, "LEDGER_API_KEY=" + server.APIKey}
	if out := project.run("ten", environment, "run", "."); !strings.Contains(out, "Say hello to Ada. <nil>\nSay hello to Grace.") {
		t.Error(out)
	}
	out := project.run("parts", environment, "run", ".")
	for _, expected := range []string{"missing: [name]", "succeeded", "welcome to Analytical Engines!",
		"+++ mail.welcome (code, new)"} {
		if !strings.Contains(out, expected) {
			t.Errorf("no %q in\n%s", expected, out)
		}
	}
	if out := project.run("parts", nil, "test", "-count=1", "."); !strings.Contains(out, "ok") {
		t.Error(out)
	}
}

// project is an empty module that uses this one.
type project struct {
	t      *testing.T
	folder string
}

func newProject(t *testing.T) project {
	t.Helper()
	p := project{t, t.TempDir()}
	here := must[string](t)(filepath.Abs("."))
	own := string(must[[]byte](t)(os.ReadFile("go.mod")))
	// What this one requires, so that nothing has to be looked up.
	requires := own[strings.Index(own, "require"):]
	p.write("go.mod", "module example.com/project\n\ngo 1.26.0\n\n"+requires+`
require github.com/prompt-ledger/prompt-ledger/clients/go v0.1.0

replace github.com/prompt-ledger/prompt-ledger/clients/go => `+here+"\n")
	p.write("go.sum", string(must[[]byte](t)(os.ReadFile("go.sum"))))
	return p
}

func (p project) write(name, content string) {
	p.t.Helper()
	path := filepath.Join(p.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p project) run(folder string, environment []string, arguments ...string) string {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), "go", arguments...)
	command.Dir = filepath.Join(p.folder, folder)
	command.Env = append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	if err != nil {
		p.t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}
