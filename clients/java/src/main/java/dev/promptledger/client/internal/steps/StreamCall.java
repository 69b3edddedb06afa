package dev.promptledger.client.internal.steps;

import io.grpc.MethodDescriptor;
import java.util.function.Function;

/**
 * A stream to open.
 *
 * @param method of the contract
 * @param request what to send
 * @param read how an answer is read
 */
public record StreamCall<Q, A, M>(MethodDescriptor<Q, A> method, Q request, Function<A, M> read) {}
