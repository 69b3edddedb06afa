//go:build !unix

package promptledger

import "io/fs"

// Only Unix has named pipes among its files.
const nonblocking = 0

// isOwn holds for every file where files have no owner and no mode as on Unix.
func isOwn(fs.FileInfo) bool { return true }
