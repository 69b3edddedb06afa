package dev.promptledger.client.internal;

import java.security.SecureRandom;
import java.util.UUID;

/** Ids that are never made twice. */
public final class Ids {
    private static final SecureRandom RANDOM = new SecureRandom();

    private Ids() {}

    /** A new UUIDv7 (RFC 9562) in text form: sorted by time. */
    public static String uuid7() {
        var random = new byte[10];
        RANDOM.nextBytes(random);
        var high = System.currentTimeMillis() << 16 | 0x7000 | (random[0] & 0x0fL) << 8 | random[1] & 0xff;
        var low = 0L;
        for (var index = 2; index < random.length; index++) {
            low = low << 8 | random[index] & 0xff;
        }
        return new UUID(high, low & 0x3fffffffffffffffL | 0x8000000000000000L).toString();
    }
}
