package dev.promptledger.client.internal.steps;

import com.google.protobuf.ByteString;
import dev.promptledger.client.Update;
import dev.promptledger.v1.ExecutionTextDelta;
import java.security.MessageDigest;
import java.util.Queue;

/** How much of an attempt's text was passed on. */
final class FollowedText {
    /** 0 before the first text. */
    private int attempt;
    /** In UTF-8 bytes. */
    private int given;
    /** Of what was given: tells whether the final text begins with it, without keeping it. */
    private final MessageDigest hash = Hashes.sha256();

    /** Passes on the new part of a delta. After a reconnect the text is sent again from its beginning. */
    Taken take(ExecutionTextDelta delta, Queue<Update> updates) {
        if (delta.getAttempt() < attempt) {
            return Taken.NOTHING;
        }
        if (delta.getAttempt() > attempt) {
            restart(delta.getAttempt(), updates);
        }
        var known = given - delta.getOffset();
        if (known < 0) {
            return Taken.GAP;
        }
        var text = delta.getTextBytes();
        var more = text.substring(Math.min(known, text.size()));
        if (!more.isValidUtf8()) {
            // The known text ends within a character of this one: the texts differ.
            return Taken.GAP;
        }
        return give(more, updates) ? Taken.NEWS : Taken.NOTHING;
    }

    /** Passes on what is missing of the final text: what was never streamed, or was lost. */
    void finish(int attempt, ByteString response, Queue<Update> updates) {
        if (attempt != this.attempt) {
            restart(attempt, updates);
        }
        if (response.isEmpty()) {
            // A failed execution has no response; the partial text stays valid.
            return;
        }
        if (!beginsWithGiven(response)) {
            restart(attempt, updates);
        }
        give(response.substring(given), updates);
    }

    private boolean beginsWithGiven(ByteString response) {
        if (given > response.size()) {
            return false;
        }
        var begin = Hashes.sha256();
        begin.update(response.substring(0, given).asReadOnlyByteBuffer());
        return MessageDigest.isEqual(begin.digest(), Hashes.soFar(hash));
    }

    private void restart(int attempt, Queue<Update> updates) {
        if (given > 0) {
            updates.add(new Update.Restarted(attempt));
        }
        this.attempt = attempt;
        given = 0;
        hash.reset();
    }

    /** False where the text is empty. */
    private boolean give(ByteString text, Queue<Update> updates) {
        if (text.isEmpty()) {
            return false;
        }
        updates.add(new Update.Text(attempt, given, text.toStringUtf8()));
        given += text.size();
        hash.update(text.asReadOnlyByteBuffer());
        return true;
    }
}
