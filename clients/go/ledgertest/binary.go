package ledgertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// findBinary returns the program prompt-ledger: the one named, else that of PROMPT_LEDGER_BIN, of the PATH, or of a workspace.
func findBinary(named string) (string, error) {
	if named == "" {
		named = os.Getenv("PROMPT_LEDGER_BIN")
	}
	if named != "" {
		if !isFile(named) {
			return "", fmt.Errorf("no prompt-ledger: %s is no file; install it, or name it by PROMPT_LEDGER_BIN", named)
		}
		return filepath.Abs(named)
	}
	if found, err := exec.LookPath("prompt-ledger"); err == nil {
		return filepath.Abs(found)
	}
	if found := built(); found != "" {
		return found, nil
	}
	return "", fmt.Errorf("no prompt-ledger: it is not in the PATH; install it, or name it by PROMPT_LEDGER_BIN")
}

// built returns the program of the target of a workspace that the working folder is in. Empty: there is none.
func built() string {
	var targets []string
	if target := os.Getenv("CARGO_TARGET_DIR"); target != "" {
		targets = append(targets, target)
	}
	folder, err := os.Getwd()
	for err == nil {
		if isFile(filepath.Join(folder, "Cargo.toml")) {
			targets = append(targets, filepath.Join(folder, "target"))
		}
		if filepath.Dir(folder) == folder {
			break
		}
		folder = filepath.Dir(folder)
	}
	for _, target := range targets {
		for _, profile := range []string{"release", "debug"} {
			if path := filepath.Join(target, profile, "prompt-ledger"); isFile(path) {
				return path
			}
		}
	}
	return ""
}

func isFile(path string) bool {
	about, err := os.Stat(path)
	return err == nil && about.Mode().IsRegular()
}
