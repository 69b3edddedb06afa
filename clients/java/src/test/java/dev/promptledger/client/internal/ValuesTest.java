package dev.promptledger.client.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.promptledger.client.ExecutionStatus;
import dev.promptledger.client.errors.InvalidFieldException;
import dev.promptledger.client.errors.InvalidOptionsException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ValuesTest {
    @Test
    void valuesOfJsonGoThereAndBack() {
        var values = Map.of(
                "text",
                new StringBuilder("a"),
                "whole",
                3,
                "long",
                1L << 53,
                "decimal",
                new BigDecimal("1.5"),
                "truth",
                true,
                "list",
                Arrays.asList(1, null, "b", List.of()),
                "array",
                new Object[] {"x", 2.5f},
                "map",
                Map.of("inner", Map.of()));
        var expected = Map.of(
                "text",
                "a",
                "whole",
                3.0,
                "long",
                9_007_199_254_740_992.0,
                "decimal",
                1.5,
                "truth",
                true,
                "list",
                Arrays.asList(1.0, null, "b", List.of()),
                "array",
                List.of("x", 2.5),
                "map",
                Map.of("inner", Map.of()));
        var struct = Json.struct(values, "variables");
        assertEquals(expected, Json.map(struct));
    }

    static Stream<Arguments> none() {
        return Stream.of(
                arguments(Map.of("a", Instant.EPOCH), "variables.a"),
                arguments(Map.of("a", List.of(1, Double.NaN)), "variables.a[1]"),
                arguments(Map.of("a", Map.of("b", (1L << 53) + 1)), "variables.a.b"),
                arguments(Map.of("a", BigInteger.TWO.pow(60).negate()), "variables.a"),
                arguments(Map.of("a", Map.of(1, 2)), "variables.a"),
                arguments(Map.of("a", new BigDecimal("1e999")), "variables.a"));
    }

    @ParameterizedTest
    @MethodSource("none")
    void whatIsNoneIsNamed(Map<String, ?> values, String field) {
        var error = assertThrows(InvalidFieldException.class, () -> Json.struct(values, "variables"));
        assertEquals(Set.of(field), error.fields().keySet());
        assertEquals("INVALID_FIELD", error.reason());
    }

    @Test
    void idsAreSortedByTimeAndNeverMadeTwice() {
        var before = System.currentTimeMillis();
        var id = UUID.fromString(Ids.uuid7());
        assertEquals(7, id.version());
        assertEquals(2, id.variant());
        var made = id.getMostSignificantBits() >>> 16;
        assertTrue(before <= made && made <= System.currentTimeMillis());
        assertNotEquals(id.toString(), Ids.uuid7());
    }

    @Test
    void timesGoThereAndBack() {
        var duration = Duration.ofNanos(1_500_000_001);
        assertEquals(duration, Protos.duration(Protos.duration(duration)));
        var instant = Instant.parse("2026-01-02T03:04:05.000000006Z");
        assertEquals(instant, Protos.instant(Protos.timestamp(instant)));
        assertEquals(Long.MAX_VALUE, Settings.nanos(Duration.ofSeconds(Long.MAX_VALUE)));
        assertThrows(InvalidOptionsException.class, () -> Settings.positive("timeout", Duration.ZERO));
        assertThrows(InvalidOptionsException.class, () -> Settings.positive("timeout", Duration.ofSeconds(-1)));
    }

    @Test
    void valuesOfANewerServerAreUnknown() {
        var statuses = ExecutionStatus.values();
        assertEquals(ExecutionStatus.CANCELED, Enums.of(statuses, 5));
        for (var number : new int[] {0, -1, 6, 99}) {
            assertEquals(ExecutionStatus.UNKNOWN, Enums.of(statuses, number));
        }
    }

    @Test
    void aClassThatIsNotThereIsNotUsed() {
        assertEquals(false, TraceContext.isThere("io.opentelemetry.NoSuchClass"));
        assertEquals(true, TraceContext.isThere("io.opentelemetry.context.Context"));
    }
}
