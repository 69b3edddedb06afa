package dev.promptledger.client.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class UnifiedDiffTest {
    private static String diff(String old, String now) {
        return UnifiedDiff.of("old", old, "new", now);
    }

    private static String numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(number -> number + "\n").collect(Collectors.joining());
    }

    @Test
    void theSameTextsDifferByNothing() {
        assertEquals("", diff("", ""));
        assertEquals("", diff("one\ntwo", "one\ntwo"));
    }

    @Test
    void aNewTextIsAddedWhole() {
        assertEquals("""
                --- old
                +++ new
                @@ -0,0 +1 @@
                +one
                \\ No newline at end of file
                """, diff("", "one"));
        assertEquals("""
                --- old
                +++ new
                @@ -1,2 +0,0 @@
                -one
                -two
                """, diff("one\ntwo\n", ""));
    }

    @Test
    void linesThatDifferStandAmongThoseAroundThem() {
        var now = numbers(0, 5) + "five\n" + numbers(6, 20) + "last";
        assertEquals("""
                --- old
                +++ new
                @@ -3,7 +3,7 @@
                 2
                 3
                 4
                -5
                +five
                 6
                 7
                 8
                @@ -18,3 +18,4 @@
                 17
                 18
                 19
                +last
                \\ No newline at end of file
                """, diff(numbers(0, 20), now));
    }

    @Test
    void changesThatStandCloseAreOneHunk() {
        assertEquals("""
                --- old
                +++ new
                @@ -1,8 +1,7 @@
                -0
                 1
                 2
                 3
                 4
                 5
                 6
                -7
                +seven
                """, diff(numbers(0, 8), numbers(1, 7) + "seven\n"));
    }

    @Test
    void textsThatHaveLittleInCommonReplaceEachOther() {
        var diff = diff(numbers(0, 1_500), numbers(5_000, 6_500));
        assertTrue(diff.startsWith("--- old\n+++ new\n@@ -1,1500 +1,1500 @@\n-0\n"));
        assertEquals(3_003, diff.lines().count());
    }
}
