//go:build unix

package promptledger

import (
	"io/fs"
	"os"
	"syscall"
)

// nonblocking opens a named pipe without waiting for its other end.
const nonblocking = syscall.O_NONBLOCK

// isOwn says whether a file belongs to the user of this process, and nobody else may write it.
func isOwn(about fs.FileInfo) bool {
	system, ok := about.Sys().(*syscall.Stat_t)
	return ok && int(system.Uid) == os.Geteuid() && about.Mode().Perm()&0o022 == 0
}
