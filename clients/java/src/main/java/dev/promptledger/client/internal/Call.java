package dev.promptledger.client.internal;

import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.function.Function;

/**
 * A call that answers once.
 *
 * @param method of the contract
 * @param request what to send
 * @param read how its answer is read
 * @param freely whether it may be done twice; else it is repeated only where the server has not begun with it
 * @param limit for all its attempts together; null: the client's timeout
 */
public record Call<Q, A, T>(
        MethodDescriptor<Q, A> method, Q request, Function<A, T> read, boolean freely, Duration limit) {
    /** One that may be done twice, within the client's timeout. */
    public Call(MethodDescriptor<Q, A> method, Q request, Function<A, T> read) {
        this(method, request, read, true, null);
    }

    /** One that may be done twice, or not, within the client's timeout. */
    public Call(MethodDescriptor<Q, A> method, Q request, Function<A, T> read, boolean freely) {
        this(method, request, read, freely, null);
    }
}
