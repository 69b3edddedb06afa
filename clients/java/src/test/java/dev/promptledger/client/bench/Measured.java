package dev.promptledger.client.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/** What was measured of a call, over all turns. */
final class Measured {
    private final String call;
    private final String by;
    private final Latencies latencies = new Latencies();
    private long nanos;

    Measured(String call, String by) {
        this.call = call;
        this.by = by;
    }

    synchronized void add(Latencies of) {
        latencies.addAll(of);
    }

    synchronized void took(long duration) {
        nanos += duration;
    }

    synchronized Map<String, Object> row() {
        var row = new LinkedHashMap<String, Object>();
        row.put("call", call);
        row.put("by", by);
        row.put("per_second", Math.round(latencies.calls() / (nanos / 1e9)));
        row.put("p50_us", Math.round(latencies.percentile(0.5) * 100) / 100.0);
        row.put("p99_us", Math.round(latencies.percentile(0.99) * 100) / 100.0);
        return row;
    }
}
