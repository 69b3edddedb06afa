package promptledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/prompt-ledger/prompt-ledger/clients/go/internal/scripted"
	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// short names updates: "put a 1+3" is the prompt a with the versions 1 and 3.
func short(update promptUpdate) string {
	switch update := update.(type) {
	case promptPut:
		var versions []string
		for _, version := range append([]*pb.PromptVersion{update.state.ActiveVersion}, update.state.LabelledVersions...) {
			if version != nil {
				versions = append(versions, fmt.Sprint(version.VersionNumber))
			}
		}
		return "put " + update.state.Prompt.Name + " " + strings.Join(versions, "+")
	case promptsOnly:
		var names []string
		for name := range update.names {
			names = append(names, name)
		}
		slices.Sort(names)
		return "only " + strings.Join(names, ",")
	case promptsReached:
		return fmt.Sprint("reached ", update.revision)
	case promptsCurrent:
		return "current"
	default:
		return "behind"
	}
}

func TestPromptsAreReadOverSeveralStreams(t *testing.T) {
	unknown := &pb.WatchPromptsResponse{Revision: 12}
	for _, each := range []struct {
		name     string
		cursor   int64
		messages []*pb.WatchPromptsResponse
		told     []string
		effect   taken
		asks     int64
	}{
		{"from 0 everything is told, and then synced", 0, []*pb.WatchPromptsResponse{
			scripted.PromptState("a", 0, 1), scripted.PromptsHeartbeat(0, false), scripted.PromptState("b", 0, 2),
			scripted.PromptsSynced(7),
		}, []string{"put a 1", "put b 2", "only a,b", "reached 7", "current"}, tookNews, 7},
		{"what is told before synced is no progress", 0, []*pb.WatchPromptsResponse{
			scripted.PromptState("a", 0, 1),
		}, []string{"put a 1"}, tookNothing, 0},
		{"a resumed stream is current at its first heartbeat", 5, []*pb.WatchPromptsResponse{
			scripted.PromptState("a", 6, 1), scripted.PromptsHeartbeat(6, false),
		}, []string{"put a 1", "reached 6", "current"}, tookNews, 6},
		{"a server that knows of more makes it stale", 5, []*pb.WatchPromptsResponse{
			scripted.PromptsHeartbeat(5, true),
		}, []string{"behind"}, tookNothing, 5},
		{"parts of a state are put together", 5, []*pb.WatchPromptsResponse{
			scripted.MoreFollows(scripted.PromptState("a", 0, 1)), scripted.PromptsHeartbeat(5, false),
			scripted.Labelled(scripted.PromptState("a", 6, 0), "old", 3),
		}, []string{"put a 1+3", "reached 6"}, tookNews, 6},
		{"parts of another prompt are dropped", 5, []*pb.WatchPromptsResponse{
			scripted.MoreFollows(scripted.PromptState("a", 0, 1)), scripted.PromptState("b", 6, 2),
		}, []string{"put b 2", "reached 6"}, tookNews, 6},
		{"kinds of tomorrow move the cursor", 5, []*pb.WatchPromptsResponse{unknown}, []string{"reached 12"}, tookNews, 12},
	} {
		t.Run(each.name, func(t *testing.T) {
			reader := &promptReader{cursor: each.cursor}
			reader.begins()
			var told []string
			var effect taken
			for _, message := range each.messages {
				effect = reader.take(message, func(update promptUpdate) { told = append(told, short(update)) })
			}
			if asks := reader.ask().(*pb.WatchPromptsRequest).AfterRevision; !slices.Equal(told, each.told) ||
				effect != each.effect ||
				asks != each.asks {
				t.Error(told, effect, asks)
			}
		})
	}
}

func TestPartsAreDroppedWithTheirStream(t *testing.T) {
	reader := &promptReader{cursor: 5}
	reader.begins()
	var told []string
	tell := func(update promptUpdate) { told = append(told, short(update)) }
	reader.take(scripted.MoreFollows(scripted.PromptState("a", 0, 1)), tell)
	reader.begins()
	reader.take(scripted.Labelled(scripted.PromptState("a", 8, 0), "old", 3), tell)
	if !slices.Equal(told, []string{"put a 3", "reached 8"}) {
		t.Error(told)
	}
}

func TestWhatPassesIsWaitedForAndALostCursorBeginsAgain(t *testing.T) {
	for _, each := range []struct {
		how    failure
		cursor int64
		again  bool
		asks   int64
	}{
		{refused(codes.OutOfRange, "REVISION_AHEAD"), 9, true, 0},
		{refused(codes.OutOfRange, "EVENTS_COMPACTED"), 9, true, 0},
		{refused(codes.OutOfRange, "REVISION_AHEAD"), 0, false, 0},
		{refused(codes.ResourceExhausted, "TOO_MANY_WATCHERS"), 9, true, 9},
		{refused(codes.Internal, "INTERNAL"), 9, true, 9},
		{refused(codes.DeadlineExceeded, ""), 9, true, 9},
		{refused(codes.Unimplemented, ""), 9, true, 9},
		{refused(codes.Unknown, "LOST"), 9, true, 9},
		{refused(codes.Aborted, "ETAG_MISMATCH"), 9, true, 9},
		{refused(codes.Canceled, "LOST"), 9, true, 9},
		{refused(codes.Unauthenticated, "KEY_INVALID"), 9, false, 9},
		{refused(codes.InvalidArgument, "INVALID_FIELD"), 9, false, 9},
		{refused(codes.NotFound, "PROJECT_NOT_FOUND"), 9, false, 9},
		{brokenBy(brokenSilent), 9, false, 9},
	} {
		reader := &promptReader{cursor: each.cursor}
		var told []string
		again := reader.broke(each.how, func(update promptUpdate) { told = append(told, short(update)) })
		if asks := reader.ask().(*pb.WatchPromptsRequest).AfterRevision; again != each.again || asks != each.asks ||
			told[0] != "behind" {
			t.Errorf("%v at %d: %v, asks %d, told %v", each.how, each.cursor, again, asks, told)
		}
	}
}
