package dev.promptledger.client.internal;

import com.google.protobuf.Timestamp;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;

/** Times of the contract and of Java. */
public final class Protos {
    private Protos() {}

    public static Duration duration(com.google.protobuf.Duration duration) {
        try {
            return Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
        } catch (ArithmeticException beyond) {
            // Without the part of a second, which alone went beyond.
            return Duration.ofSeconds(duration.getSeconds());
        }
    }

    public static com.google.protobuf.Duration duration(Duration duration) {
        return com.google.protobuf.Duration.newBuilder()
                .setSeconds(duration.getSeconds())
                .setNanos(duration.getNano())
                .build();
    }

    /** A time, or the nearest one that Java has. */
    public static Instant instant(Timestamp stamp) {
        try {
            return Instant.ofEpochSecond(stamp.getSeconds(), stamp.getNanos());
        } catch (DateTimeException | ArithmeticException beyond) {
            return stamp.getSeconds() < 0 ? Instant.MIN : Instant.MAX;
        }
    }

    public static Timestamp timestamp(Instant instant) {
        return Timestamp.newBuilder()
                .setSeconds(instant.getEpochSecond())
                .setNanos(instant.getNano())
                .build();
    }
}
