package dev.promptledger.client.internal.steps;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;

/** The sequences that were read, of the most recent executions: at least so many as asked for, at most twice that. */
final class SeenExecutions {
    /** Most sequences of one execution that are remembered beyond the gapless ones. */
    private static final int APART = 64;

    private final int most;
    private Map<String, Life> now = new HashMap<>();
    private Map<String, Life> before = new HashMap<>();

    SeenExecutions(int most) {
        this.most = most;
    }

    /** Records a snapshot of the execution after this sequence; returns whether it is new. */
    boolean through(String executionId, long sequence) {
        var known = known(executionId);
        var life = known == null ? begin(executionId) : known;
        var isNew = known == null || !life.knows(sequence);
        life.through = Math.max(life.through, sequence);
        life.settle();
        return isNew;
    }

    /** Records a change; returns whether it is new. */
    boolean one(String executionId, long sequence) {
        var known = known(executionId);
        var life = known == null ? begin(executionId) : known;
        if (life.knows(sequence)) {
            return false;
        }
        life.apart.add(sequence);
        life.settle();
        return true;
    }

    /** What is known of an execution, which is among the recent ones again; null where nothing is. */
    private Life known(String executionId) {
        var life = now.get(executionId);
        if (life == null) {
            life = before.remove(executionId);
            if (life != null) {
                keep(executionId, life);
            }
        }
        return life;
    }

    private Life begin(String executionId) {
        var life = new Life();
        keep(executionId, life);
        return life;
    }

    private void keep(String executionId, Life life) {
        if (now.size() >= most) {
            before = now;
            now = new HashMap<>();
        }
        now.put(executionId, life);
    }

    /** The sequences of one execution that were read: all up to {@code through}, and those {@code apart}. */
    private static final class Life {
        private long through;
        private final TreeSet<Long> apart = new TreeSet<>();

        private boolean knows(long sequence) {
            return sequence <= through || apart.contains(sequence);
        }

        /** Bounds the memory: merges what follows without a gap, and beyond {@code APART} the lowest ones. */
        private void settle() {
            while (!apart.isEmpty() && (apart.first() <= through + 1 || apart.size() > APART)) {
                through = Math.max(through, apart.pollFirst());
            }
        }
    }
}
