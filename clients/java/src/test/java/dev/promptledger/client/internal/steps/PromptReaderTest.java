package dev.promptledger.client.internal.steps;

import static dev.promptledger.client.internal.steps.RetryTest.refused;
import static dev.promptledger.client.scripted.Events.more;
import static dev.promptledger.client.scripted.Events.prompt;
import static dev.promptledger.client.scripted.Events.promptsHeartbeat;
import static dev.promptledger.client.scripted.Events.promptsSynced;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.promptledger.client.internal.steps.Failure.Broken;
import dev.promptledger.client.internal.steps.PromptUpdate.Behind;
import dev.promptledger.client.internal.steps.PromptUpdate.Current;
import dev.promptledger.client.internal.steps.PromptUpdate.Only;
import dev.promptledger.client.internal.steps.PromptUpdate.Put;
import dev.promptledger.client.internal.steps.PromptUpdate.Reached;
import dev.promptledger.v1.PromptVersion;
import dev.promptledger.v1.WatchPromptsRequest;
import dev.promptledger.v1.WatchPromptsResponse;
import io.grpc.Status.Code;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptReaderTest {
    private final PromptReader reader = new PromptReader(List.of("a", "b"), "shop.");

    private List<PromptUpdate> take(WatchPromptsResponse... messages) {
        var updates = new ArrayDeque<PromptUpdate>();
        for (var message : messages) {
            reader.take(message, updates);
        }
        return List.copyOf(updates);
    }

    private WatchPromptsRequest asked() {
        return (WatchPromptsRequest) reader.ask().request();
    }

    private void resumeAt(long revision) {
        reader.begins();
        take(promptsSynced(revision));
        reader.begins();
    }

    @Test
    void fromZeroEverythingIsToldAndThenSynced() {
        reader.begins();
        var a = prompt(0, "a", "", 1);
        var b = prompt(0, "b", "", 2);
        assertEquals(
                List.of(
                        new Put(a.getChange()),
                        new Put(b.getChange()),
                        new Only(Set.of("a", "b")),
                        new Reached(7),
                        new Current()),
                take(a, promptsHeartbeat(0, false), b, promptsSynced(7)));
        var c = prompt(9, "c", "");
        assertEquals(
                List.of(new Current(), new Put(c.getChange()), new Reached(9)), take(promptsHeartbeat(7, false), c));
        assertEquals(
                WatchPromptsRequest.newBuilder()
                        .addNames("a")
                        .addNames("b")
                        .setNamePrefix("shop.")
                        .setAfterRevision(9)
                        .build(),
                asked());
    }

    @Test
    void aResumedStreamIsCurrentAtItsFirstHeartbeat() {
        resumeAt(5);
        assertFalse(take(prompt(6, "a", "", 1)).contains(new Current()));
        assertEquals(List.of(new Current()), take(promptsHeartbeat(6, false)));
        assertEquals(List.of(new Behind()), take(promptsHeartbeat(6, true)));
        assertEquals(List.of(), take(WatchPromptsResponse.getDefaultInstance()));
    }

    @Test
    void partsOfAStateArePutTogetherAndDroppedWithTheirStream() {
        resumeAt(5);
        assertEquals(List.of(), take(more(prompt(0, "a", "", 1)), promptsHeartbeat(5, false)));
        var second = prompt(6, "a", "").toBuilder();
        second.getChangeBuilder().addLabelledVersions(PromptVersion.newBuilder().setVersionNumber(3));
        var updates = take(second.build());
        var state = ((Put) updates.get(0)).state();
        assertEquals(1, state.getActiveVersion().getVersionNumber());
        assertEquals(3, state.getLabelledVersions(0).getVersionNumber());
        assertEquals(new Reached(6), updates.get(1));
        take(more(prompt(0, "a", "", 1)));
        reader.begins();
        assertFalse(((Put) take(prompt(8, "a", "")).get(0)).state().hasActiveVersion());
        take(more(prompt(0, "a", "", 1)));
        assertFalse(((Put) take(prompt(9, "b", "")).get(0)).state().hasActiveVersion(), "they are of another prompt");
    }

    @Test
    void onlyWhatComesFurtherOrIsCurrentIsProgress() {
        reader.begins();
        var updates = new ArrayDeque<PromptUpdate>();
        assertEquals(Taken.NOTHING, reader.take(prompt(0, "a", "", 1), updates));
        assertEquals(Taken.NOTHING, reader.take(promptsHeartbeat(0, false), updates));
        assertEquals(Taken.NEWS, reader.take(promptsSynced(5), updates));
        assertEquals(Taken.NOTHING, reader.take(promptsHeartbeat(5, true), updates));
        assertEquals(Taken.NEWS, reader.take(prompt(6, "a", "", 2), updates));
        assertEquals(Taken.NEWS, reader.take(promptsHeartbeat(6, false), updates));
    }

    @ParameterizedTest
    @CsvSource({
        "5, OUT_OF_RANGE, REVISION_AHEAD, true, 0",
        "5, OUT_OF_RANGE, EVENTS_COMPACTED, true, 0",
        "0, OUT_OF_RANGE, REVISION_AHEAD, false, 0",
        "5, RESOURCE_EXHAUSTED, TOO_MANY_WATCHERS, true, 5",
        "5, INTERNAL, INTERNAL, true, 5",
        "5, UNIMPLEMENTED, '', true, 5",
        "5, UNAVAILABLE, DRAINING, false, 5",
        "5, UNAUTHENTICATED, KEY_INVALID, false, 5",
    })
    void howItBreaks(long cursor, Code code, String reason, boolean recovers, long after) {
        if (cursor > 0) {
            resumeAt(cursor);
        }
        var updates = new ArrayDeque<PromptUpdate>();
        assertEquals(recovers, reader.broke(refused(code, reason), updates));
        assertEquals(
                after < cursor ? List.of(new Behind(), new Reached(0)) : List.of(new Behind()), List.copyOf(updates));
        assertEquals(after, asked().getAfterRevision());
        assertFalse(reader.broke(Broken.CUT, updates));
    }
}
