package promptledger

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// newUUID returns a UUIDv7 (RFC 9562) of a time: sorted by it, and never made twice.
func newUUID(now time.Time) string {
	var id [16]byte
	// It never fails.
	_, _ = rand.Read(id[6:])
	for i, milliseconds := 5, now.UnixMilli(); i >= 0; i-- {
		id[i] = byte(milliseconds)
		milliseconds >>= 8
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
