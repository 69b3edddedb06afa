package promptledger

import (
	"strings"
	"testing"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

func TestABufferIsBoundedByItsMessagesAndItsBytes(t *testing.T) {
	fills := func(message *pb.ExecutionEvent, most int) int {
		var b buffer[*pb.ExecutionEvent]
		count := 0
		for b.put(message) && count <= most {
			count++
		}
		if _, ok := b.take(); !ok || count > 1 && !b.put(message) {
			t.Error("what was taken makes room")
		}
		return count
	}
	for _, each := range []struct {
		bytes, expected int
	}{
		{10, mostMessages},
		{mostBytes / 4, 3},
		{mostBytes/4 - 100, 4},
		// A single one that is larger has room where it is alone.
		{2 * mostBytes, 1},
	} {
		if count := fills(scripted.Text(1, 0, strings.Repeat("x", each.bytes)), mostMessages); count != each.expected {
			t.Errorf("%d bytes: %d messages", each.bytes, count)
		}
	}
	var empty buffer[*pb.ExecutionEvent]
	if _, ok := empty.take(); ok || empty.bytes != 0 {
		t.Error(empty)
	}
}
