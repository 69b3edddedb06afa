package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prompt-ledger/prompt-ledger/clients/go/ledgertest"
)

func TestAFolderIsRegistered(t *testing.T) {
	server, folder := ledgertest.Server(t), t.TempDir()
	t.Setenv("LEDGER_SERVER", server.Address)
	t.Setenv("LEDGER_API_KEY", server.APIKey)
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(folder, "greet.hbs"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, each := range []struct {
		text      string
		arguments []string
		code      int
		says      string
	}{
		{"Hello {{name}}.\n", []string{"--dry-run"}, 1, "greet: new, version 1\n--- /dev/null\n"},
		{"Hello {{name}}.\n", []string{"--created-by", "ada", "--repository", "shop", "--commit", "4f2a"}, 0, "greet: new, version 1\n"},
		{"Hello {{name}}.\n", []string{"--dry-run"}, 0, "greet: unchanged, version 1\n"},
		{"Bye {{name}}.\n", []string{"--dry-run"}, 1, "-Hello {{name}}.\n+Bye {{name}}.\n"},
		{"Bye {{name}}.\n", []string{"--no-activate"}, 0, "greet: updated, version 2\n"},
	} {
		write(each.text)
		var out, errors bytes.Buffer
		code := register(t.Context(), append(each.arguments, folder), &out, &errors)
		if code != each.code || !strings.Contains(out.String(), each.says) || errors.Len() > 0 {
			t.Errorf("%d: %d\n%s%s", i, code, &out, &errors)
		}
	}
}

func TestWhatIsWrongIsTold(t *testing.T) {
	t.Setenv("LEDGER_SERVER", "nowhere")
	for complaint, arguments := range map[string][]string{
		"usage:":           {},
		"not defined":      {"--no-such", "x"},
		"error: INVALID_A": {"x"},
	} {
		var out, errors bytes.Buffer
		if code := register(t.Context(), arguments, &out, &errors); code != 2 || !strings.Contains(errors.String(), complaint) {
			t.Errorf("%v: %d\n%s", arguments, code, &errors)
		}
	}
}
