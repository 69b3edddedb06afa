package ledgertest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

func TestAServerServesAndEndsWithItsTest(t *testing.T) {
	var server *DevServer
	t.Run("serves", func(t *testing.T) {
		server = Server(t)
		ledger := server.Connect(t)
		for prompt, err := range ledger.Prompts.List(t.Context(), promptledger.PromptFilter{}) {
			t.Error(prompt, err)
		}
		answer, err := http.Get(server.Metrics)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !strings.HasPrefix(server.HTTP, "http://127.0.0.1:") {
			t.Error(answer.Status, server.HTTP)
		}
	})
	if server.command.ProcessState == nil || !server.command.ProcessState.Success() {
		t.Error(server.command.ProcessState)
	}
	if _, err := os.Stat(server.folder); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestAServerThatDoesNotStartSaysWhy(t *testing.T) {
	_, err := Start(WithEnvironment(map[string]string{"DEFAULT_MODEL": "nobody/nothing"}))
	if err == nil || !strings.Contains(err.Error(), "the server did not start") || !strings.Contains(err.Error(), "nobody") {
		t.Error(err)
	}
	_, err = Start(WithArguments("--no-such-argument"))
	if err == nil || !strings.Contains(err.Error(), "--no-such-argument") {
		t.Error(err)
	}
	// A program that says something else.
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\necho hello\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err = Start(WithBinary(other)); err == nil || !strings.Contains(err.Error(), "said something else") {
		t.Error(err)
	}
	if err := os.WriteFile(other, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Start(WithBinary(other)); err == nil {
		t.Error("it cannot be run")
	}
}

func TestTheProgramIsFound(t *testing.T) {
	folder := t.TempDir()
	program := func(path ...string) string {
		file := filepath.Join(append([]string{folder}, path...)...)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		return file
	}
	t.Chdir(program("workspace", "clients", "x")[:len(folder)+len("/workspace/clients")])
	t.Setenv("PROMPT_LEDGER_BIN", "/nowhere/prompt-ledger")
	t.Setenv("PATH", filepath.Join(folder, "bin"))
	t.Setenv("CARGO_TARGET_DIR", filepath.Join(folder, "target"))
	find := func(named, expected string) {
		t.Helper()
		found, err := findBinary(named)
		if found != expected || (err == nil) != (expected != "") {
			t.Error(found, err)
		}
	}
	find("", "")
	t.Setenv("PROMPT_LEDGER_BIN", "")
	find("", "")
	program("workspace", "Cargo.toml")
	find("", "")
	find("", "")
	debug := program("workspace", "target", "debug", "prompt-ledger")
	find("", debug)
	find("", debug)
	elsewhere := program("target", "debug", "prompt-ledger")
	find("", elsewhere)
	inPath := program("bin", "prompt-ledger")
	find("", inPath)
	t.Setenv("PROMPT_LEDGER_BIN", debug)
	find("", debug)
	find(elsewhere, elsewhere)
}
