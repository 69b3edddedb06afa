//go:build unix

package promptledger

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
)

func TestAFileThatAnotherUserMayHaveWrittenIsNotRead(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"all may write it":       func(path string) error { return os.Chmod(path, 0o602) },
		"its group may write it": func(path string) error { return os.Chmod(path, 0o620) },
		"of another user":        func(path string) error { return os.Chown(path, os.Geteuid()+1, -1) },
		"a named pipe":           func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			file := newTestFile(t, filepath.Join(t.TempDir(), "prompts"), "http://a")
			var held heldPrompts
			held.put(scripted.PromptState("a", 1, 1).GetChange())
			if err := file.write(&held, time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := change(file.path); errors.Is(err, os.ErrPermission) {
				t.Skip("only root gives files away")
			} else if err != nil {
				t.Fatal(err)
			}
			if _, _, err := file.read(); !errors.Is(err, errForeign) {
				t.Error(err)
			}
			if err := file.write(&held, time.Now()); err != nil {
				t.Fatal(err)
			}
			if states, _, err := file.read(); len(states) != 1 || err != nil {
				t.Error("it is replaced:", err)
			}
		})
	}
}
