package dev.promptledger.client.internal;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The difference of two texts for people, in the form of {@code diff -u}. */
public final class UnifiedDiff {
    /** Equal lines around what differs. */
    private static final int CONTEXT = 3;
    /** Texts that differ by more lines are told as one replaced by the other. */
    private static final int MOST_EDITS = 1_000;

    private final List<String> old;
    private final List<String> now;

    private UnifiedDiff(String old, String now) {
        this.old = lines(old);
        this.now = lines(now);
    }

    /** One line of the result: of both texts, of the old one, or of the new one. */
    private record Edit(char kind, String line, int oldAt, int nowAt) {}

    /** Empty where the texts are the same. */
    public static String of(String oldName, String old, String nowName, String now) {
        var edits = new UnifiedDiff(old, now).edits();
        var result = new StringBuilder();
        for (var begin = 0; begin < edits.size(); ) {
            if (edits.get(begin).kind() == ' ') {
                begin++;
                continue;
            }
            var from = Math.max(begin - CONTEXT, 0);
            var to = endOfHunk(edits, begin);
            if (result.isEmpty()) {
                result.append("--- ")
                        .append(oldName)
                        .append("\n+++ ")
                        .append(nowName)
                        .append('\n');
            }
            appendHunk(result, edits.subList(from, to));
            begin = to;
        }
        return result.toString();
    }

    /** Hunks with less than twice the context between them are one. */
    private static int endOfHunk(List<Edit> edits, int begin) {
        var end = begin;
        for (var at = begin; at < edits.size() && at - end <= 2 * CONTEXT; at++) {
            if (edits.get(at).kind() != ' ') {
                end = at + 1;
            }
        }
        return Math.min(end + CONTEXT, edits.size());
    }

    private static void appendHunk(StringBuilder result, List<Edit> hunk) {
        var olds = (int) hunk.stream().filter(edit -> edit.kind() != '+').count();
        var nows = (int) hunk.stream().filter(edit -> edit.kind() != '-').count();
        var first = hunk.get(0);
        result.append("@@ -").append(range(first.oldAt(), olds));
        result.append(" +").append(range(first.nowAt(), nows)).append(" @@\n");
        for (var edit : hunk) {
            result.append(edit.kind()).append(edit.line());
            if (!edit.line().endsWith("\n")) {
                result.append("\n\\ No newline at end of file\n");
            }
        }
    }

    private static String range(int at, int count) {
        return (count == 0 ? at : at + 1) + (count == 1 ? "" : "," + count);
    }

    /** The lines of a text, each with its end. */
    private static List<String> lines(String text) {
        var lines = new ArrayList<String>();
        for (var begin = 0; begin < text.length(); ) {
            var end = text.indexOf('\n', begin);
            var next = end < 0 ? text.length() : end + 1;
            lines.add(text.substring(begin, next));
            begin = next;
        }
        return lines;
    }

    /** The shortest edits, by Myers' algorithm: after {@code d} edits, the furthest old line for each diagonal. */
    private List<Edit> edits() {
        var steps = new ArrayList<int[]>();
        var furthest = new int[2 * MOST_EDITS + 3];
        for (var d = 0; d <= MOST_EDITS; d++) {
            steps.add(furthest.clone());
            for (var k = -d; k <= d; k += 2) {
                var x = isDown(furthest, k, d) ? furthest[at(k + 1)] : furthest[at(k - 1)] + 1;
                var y = x - k;
                while (x < old.size() && y < now.size() && old.get(x).equals(now.get(y))) {
                    x++;
                    y++;
                }
                furthest[at(k)] = x;
                if (x >= old.size() && y >= now.size()) {
                    return backtrack(steps);
                }
            }
        }
        var whole = new ArrayList<Edit>();
        for (var x = 0; x < old.size(); x++) {
            whole.add(new Edit('-', old.get(x), x, 0));
        }
        for (var y = 0; y < now.size(); y++) {
            whole.add(new Edit('+', now.get(y), old.size(), y));
        }
        return whole;
    }

    private static int at(int diagonal) {
        return diagonal + MOST_EDITS + 1;
    }

    private static boolean isDown(int[] furthest, int k, int d) {
        return k == -d || k != d && furthest[at(k - 1)] < furthest[at(k + 1)];
    }

    private List<Edit> backtrack(List<int[]> steps) {
        var edits = new ArrayList<Edit>();
        var x = old.size();
        var y = now.size();
        for (var d = steps.size() - 1; d >= 0; d--) {
            var furthest = steps.get(d);
            var k = x - y;
            var fromK = isDown(furthest, k, d) ? k + 1 : k - 1;
            var fromX = d == 0 ? 0 : furthest[at(fromK)];
            var fromY = d == 0 ? 0 : fromX - fromK;
            while (x > fromX && y > fromY) {
                x--;
                y--;
                edits.add(new Edit(' ', old.get(x), x, y));
            }
            if (d > 0) {
                if (x == fromX) {
                    y--;
                    edits.add(new Edit('+', now.get(y), x, y));
                } else {
                    x--;
                    edits.add(new Edit('-', old.get(x), x, y));
                }
            }
        }
        Collections.reverse(edits);
        return edits;
    }
}
