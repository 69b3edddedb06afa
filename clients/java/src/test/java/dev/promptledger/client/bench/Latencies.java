package dev.promptledger.client.bench;

import java.util.Arrays;

/** How long calls took, in nanoseconds. */
final class Latencies {
    private long[] nanos = new long[1 << 12];
    private int size;
    private long calls;

    void add(long each) {
        add(each, 1);
    }

    /** So many calls that took this long each. */
    void add(long each, int count) {
        if (size == nanos.length) {
            nanos = Arrays.copyOf(nanos, 2 * size);
        }
        nanos[size++] = each;
        calls += count;
    }

    void addAll(Latencies others) {
        for (var index = 0; index < others.size; index++) {
            add(others.nanos[index], 0);
        }
        calls += others.calls;
    }

    long calls() {
        return calls;
    }

    /** In microseconds; {@code share} from 0 to 1. */
    double percentile(double share) {
        var sorted = Arrays.copyOf(nanos, size);
        Arrays.sort(sorted);
        return size == 0 ? 0 : sorted[(int) Math.min(size - 1, Math.floor(share * size))] / 1e3;
    }
}
