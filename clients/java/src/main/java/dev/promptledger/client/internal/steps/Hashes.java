package dev.promptledger.client.internal.steps;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256, which every Java platform has. */
public final class Hashes {
    private Hashes() {}

    public static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException missing) {
            throw new IllegalStateException(missing);
        }
    }

    /** The hash of what it was given so far; it can be given more. */
    static byte[] soFar(MessageDigest hash) {
        try {
            return ((MessageDigest) hash.clone()).digest();
        } catch (CloneNotSupportedException missing) {
            throw new IllegalStateException(missing);
        }
    }
}
