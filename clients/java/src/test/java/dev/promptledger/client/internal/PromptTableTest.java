package dev.promptledger.client.internal;

import static dev.promptledger.client.scripted.Events.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.PromptVersion;
import dev.promptledger.v1.PromptChange;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PromptTableTest {
    private final PromptTable table = new PromptTable();

    private static PromptChange state(String name, int... numbers) {
        return prompt(0, name, "", numbers).getChange();
    }

    private List<String> changedSince(long edition) {
        var changes = table.changesSince(edition);
        assertEquals(table.edition(), changes.edition());
        return changes.names();
    }

    @Test
    void eachChangeIsToldOnceToWhoeverHasSeenLess() {
        table.put(state("a", 1));
        table.put(state("b", 1));
        assertEquals(2, table.edition());
        assertEquals(List.of("a", "b"), changedSince(0));
        assertEquals(List.of("b"), changedSince(1));
        table.put(state("a", 1));
        assertEquals(List.of(), changedSince(2), "the same state is no change");
        for (var number = 2; number < 50; number++) {
            table.put(state("a", number));
        }
        table.put(state("c", 1));
        table.put(state("a", 99));
        assertEquals(List.of("c", "a"), changedSince(2));
        assertEquals(Optional.of(99), table.version("a", null).map(PromptVersion::number));
    }

    @Test
    void whatIsGoneIsToldAndMayComeAgain() {
        for (var name : List.of("a", "b", "c")) {
            table.put(state(name, 1));
        }
        table.keepOnly(Set.of("b", "d"));
        assertEquals(List.of("a", "c"), changedSince(3));
        assertEquals(List.of("b"), table.names());
        assertTrue(table.prompt("a").isEmpty());
        assertTrue(table.version("a", "active").isEmpty());
        table.keepOnly(Set.of("b"));
        assertEquals(5, table.edition(), "it is gone already");
        table.put(state("a", 1));
        assertEquals(List.of("a"), changedSince(5));
    }

    @Test
    void versionsAreFoundByLabel() {
        var state = prompt(0, "a", "staging", 2, 3).getChange().toBuilder();
        state.getPromptBuilder().addLabelsBuilder().setLabel("same").setVersionNumber(2);
        state.getPromptBuilder().addLabelsBuilder().setLabel("lost").setVersionNumber(9);
        table.put(state.build());
        for (var expected : List.of(List.of("active", "2"), List.of("staging", "3"), List.of("same", "2"))) {
            var version = table.version("a", expected.get(0)).orElseThrow();
            assertEquals(expected.get(1), Integer.toString(version.number()));
        }
        assertTrue(table.version("a", "lost").isEmpty());
        assertTrue(table.version("a", "latest").isEmpty());
        table.put(state("draft"));
        assertTrue(table.version("draft", null).isEmpty());
        assertEquals("draft", table.prompt("draft").orElseThrow().name());
    }
}
