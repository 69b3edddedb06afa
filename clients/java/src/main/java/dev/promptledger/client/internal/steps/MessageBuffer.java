package dev.promptledger.client.internal.steps;

import java.util.ArrayDeque;

/**
 * What has been received of a stream and not been read yet: messages in order, bounded by their number and their bytes. A single
 * one that is larger has room where it is alone.
 *
 * @param <M> a message
 */
public final class MessageBuffer<M> {
    private final int mostMessages;
    private final long mostBytes;
    private final ArrayDeque<Sized<M>> messages = new ArrayDeque<>();
    private long bytes;

    public MessageBuffer(int mostMessages, long mostBytes) {
        this.mostMessages = mostMessages;
        this.mostBytes = mostBytes;
    }

    public boolean isEmpty() {
        return messages.isEmpty();
    }

    public boolean hasRoom(int size) {
        return messages.isEmpty() || (messages.size() < mostMessages && bytes + size <= mostBytes);
    }

    public void put(M message, int size) {
        messages.add(new Sized<>(message, size));
        bytes += size;
    }

    public M take() {
        var taken = messages.remove();
        bytes -= taken.size();
        return taken.message();
    }

    private record Sized<M>(M message, int size) {}
}
