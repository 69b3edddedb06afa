package dev.promptledger.client;

import dev.promptledger.client.internal.Call;
import dev.promptledger.client.internal.Errors;
import dev.promptledger.client.internal.Transport;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The items of a list that comes in pages. Nothing is read before it is iterated over; each page is read when it is reached, and
 * each iteration reads anew.
 *
 * @param <T> an item
 */
public final class Pages<T> implements Iterable<T> {
    private final Transport transport;
    private final Source<T> source;
    private final int pageSize;

    Pages(Transport transport, Source<T> source) {
        this(transport, source, 0);
    }

    private Pages(Transport transport, Source<T> source, int pageSize) {
        this.transport = transport;
        this.source = source;
        this.pageSize = pageSize;
    }

    /** The call for a page: of so many items (0: the server decides), from a token on (empty: the first). */
    interface Source<T> {
        Call<?, ?, Page<T>> page(int size, String token);
    }

    /** Items, and the token of the next page; empty where there is none. */
    record Page<T>(List<T> items, String next) {}

    /** The same list, in pages of at most so many items; 0: 50, at most 500. */
    public Pages<T> pageSize(int size) {
        return new Pages<>(transport, source, size);
    }

    /** The items in order. */
    public Stream<T> stream() {
        return StreamSupport.stream(spliterator(), false);
    }

    @Override
    public Iterator<T> iterator() {
        return new PageIterator();
    }

    private final class PageIterator implements Iterator<T> {
        private Page<T> page = new Page<>(List.of(), "");
        private int at;
        private boolean hasBegun;
        private String asked = "";

        @Override
        public boolean hasNext() {
            while (at == page.items().size() && !(hasBegun && page.next().isEmpty())) {
                var token = page.next();
                // What the last page had is told first.
                if (!token.isEmpty() && token.equals(asked)) {
                    throw Errors.noProgress("the server answers the same page again and again");
                }
                page = transport.call(source.page(pageSize, token));
                asked = token;
                hasBegun = true;
                at = 0;
            }
            return at < page.items().size();
        }

        @Override
        public T next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            return page.items().get(at++);
        }
    }
}
