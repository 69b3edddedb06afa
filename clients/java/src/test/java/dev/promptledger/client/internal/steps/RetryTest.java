package dev.promptledger.client.internal.steps;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.promptledger.client.errors.ErrorDetails;
import dev.promptledger.client.errors.GaveUpException;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.errors.NotResumableException;
import dev.promptledger.client.internal.Errors;
import dev.promptledger.client.internal.steps.Failure.Broken;
import dev.promptledger.client.internal.steps.Failure.Refused;
import io.grpc.Status.Code;
import java.time.Duration;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class RetryTest {
    static LedgerException error(Code code, String reason, Duration retry) {
        return Errors.of(new ErrorDetails(code, "said so", reason, Map.of(), Map.of(), retry, true, null));
    }

    static Refused refused(Code code, String reason) {
        return new Refused(error(code, reason, null));
    }

    private static long seconds(double seconds) {
        return Math.round(seconds * 1e9);
    }

    private static Moment at(double seconds, double chance) {
        return new Moment(seconds(seconds), chance);
    }

    static Stream<Arguments> failures() {
        var second = Duration.ofSeconds(1);
        return Stream.of(
                arguments(new Refused(error(Code.UNAVAILABLE, "DRAINING", second)), new Verdict(true, second)),
                arguments(refused(Code.UNAVAILABLE, "STORE_UNAVAILABLE"), Verdict.AGAIN),
                arguments(refused(Code.UNAVAILABLE, ""), Verdict.AGAIN),
                arguments(refused(Code.ABORTED, "SLOW_CONSUMER"), Verdict.AGAIN),
                arguments(refused(Code.UNKNOWN, ""), Verdict.AGAIN),
                arguments(refused(Code.INTERNAL, ""), Verdict.AGAIN),
                arguments(refused(Code.CANCELLED, ""), Verdict.AGAIN),
                arguments(Broken.CUT, Verdict.AGAIN),
                arguments(Broken.SILENT, Verdict.AGAIN),
                arguments(Broken.GAP, Verdict.AGAIN),
                arguments(Broken.OVERFLOW, Verdict.AGAIN),
                arguments(refused(Code.INTERNAL, "INTERNAL"), Verdict.FINAL),
                arguments(refused(Code.ABORTED, "ETAG_MISMATCH"), Verdict.FINAL),
                arguments(refused(Code.NOT_FOUND, "EXECUTION_NOT_FOUND"), Verdict.FINAL),
                arguments(refused(Code.OUT_OF_RANGE, "SEQUENCE_AHEAD"), Verdict.FINAL),
                arguments(refused(Code.UNAUTHENTICATED, "KEY_INVALID"), Verdict.FINAL),
                arguments(new Refused(error(Code.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS", second)), Verdict.FINAL),
                arguments(refused(Code.UNIMPLEMENTED, ""), Verdict.FINAL));
    }

    @ParameterizedTest
    @MethodSource("failures")
    void aStreamThatBrokeInPassingIsOpenedAgain(Failure failure, Verdict verdict) {
        assertEquals(verdict, Verdict.ofStream(failure));
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "UNAVAILABLE, DRAINING, -, true, true",
                "RESOURCE_EXHAUSTED, OVERLOADED, -, true, true",
                "UNAVAILABLE, STORE_UNAVAILABLE, -, true, false",
                "UNAVAILABLE, '', -, true, false",
                "INTERNAL, '', -, true, false",
                "RESOURCE_EXHAUSTED, RATE_LIMITED, 2, true, false",
                "RESOURCE_EXHAUSTED, RATE_LIMITED, -, false, false",
                "RESOURCE_EXHAUSTED, TOO_LARGE, -, false, false",
                "ABORTED, SLOW_CONSUMER, -, false, false",
                "DEADLINE_EXCEEDED, '', -, false, false",
                "NOT_FOUND, PROMPT_NOT_FOUND, -, false, false",
            })
    void whatCostsIsRepeatedOnlyWhereNothingBegan(
            Code code, String reason, Long retry, boolean freely, boolean otherwise) {
        var error = error(code, reason, retry == null ? null : Duration.ofSeconds(retry));
        assertEquals(freely, Verdict.ofCall(error, true).again());
        assertEquals(otherwise, Verdict.ofCall(error, false).again());
    }

    @Test
    void aCallThatWasNotSentIsRepeatedHoweverMuchItCosts() {
        var details = new ErrorDetails(Code.UNAVAILABLE, "refused", "", Map.of(), Map.of(), null, false, null);
        assertTrue(Verdict.ofCall(Errors.of(details), false).again());
    }

    @Test
    void delaysGrowToFiveSecondsWithJitter() {
        var high = new RetryWindow(Long.MAX_VALUE);
        for (var delay : new double[] {0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5}) {
            assertEquals(OptionalLong.of(seconds(delay)), high.delay(null, at(0, 1)));
        }
        var low = new RetryWindow(Long.MAX_VALUE);
        for (var delay : new double[] {0.05, 0.1, 0.2}) {
            assertEquals(OptionalLong.of(seconds(delay)), low.delay(null, at(0, 0)));
        }
        for (var failure = 0; failure < 100; failure++) {
            high.delay(null, at(0, 1));
        }
        assertEquals(OptionalLong.of(seconds(5)), high.delay(null, at(0, 1)));
    }

    @ParameterizedTest
    @CsvSource({
        "1, 0, 1",
        "1, 1, 1.2",
        "1000000000, 0, 3600",
        "9223372036854775807, 0, 3600",
        "0, 0, 0.1",
        "0, 1, 0.12",
        "-1, 0, 0.1",
        "-9223372036854775808, 0, 0.1",
    })
    void theDelayThatAServerAsksForIsKeptToAndSpread(long asked, double chance, double delay) {
        var window = new RetryWindow(Long.MAX_VALUE);
        assertEquals(OptionalLong.of(seconds(delay)), window.delay(Duration.ofSeconds(asked), at(0, chance)));
    }

    @Test
    void patienceEndsAWhileAfterTheLastProgress() {
        var window = new RetryWindow(seconds(60));
        window.failed(Broken.CUT, Verdict.AGAIN, at(100, 1));
        window.failed(Broken.CUT, Verdict.AGAIN, at(159, 1));
        window.progressed();
        assertEquals(seconds(0.1), window.failed(Broken.CUT, Verdict.AGAIN, at(200, 1)));
        window.failed(Broken.CUT, Verdict.AGAIN, at(259, 1));
        var error = assertThrows(GaveUpException.class, () -> window.failed(Broken.SILENT, Verdict.AGAIN, at(260, 1)));
        assertTrue(error.getMessage().startsWith("gave up after 60 s without news: the server said nothing"));
    }

    @Test
    void theLastErrorSaysWhatHappened() {
        var unavailable = refused(Code.UNAVAILABLE, "");
        for (var failure : new Failure[] {Broken.CUT, Broken.GAP, unavailable}) {
            assertInstanceOf(NotResumableException.class, Verdict.last(failure));
        }
        assertSame(unavailable.error(), Verdict.last(unavailable).getCause());
        var refused = refused(Code.NOT_FOUND, "PROMPT_NOT_FOUND");
        assertSame(refused.error(), Verdict.last(refused));
    }

    @Test
    void theDeadlineBoundsAllAttemptsTogether() {
        var attempts = new Attempts(seconds(30), seconds(100), true);
        var away = error(Code.UNAVAILABLE, "", null);
        assertEquals(seconds(30), attempts.left(seconds(100)));
        assertEquals(OptionalLong.of(seconds(0.1)), attempts.delay(away, at(100, 1)));
        assertEquals(seconds(10), attempts.left(seconds(120)));
        assertEquals(OptionalLong.empty(), attempts.delay(away, at(129.9, 1)));
        var draining = error(Code.UNAVAILABLE, "DRAINING", Duration.ofSeconds(60));
        assertEquals(OptionalLong.empty(), attempts.delay(draining, at(101, 0)));
        assertEquals(0, attempts.left(seconds(131)));
        assertEquals(
                OptionalLong.empty(),
                new Attempts(seconds(30), 0, true).delay(error(Code.NOT_FOUND, "", null), at(0, 1)));
    }
}
