package dev.promptledger.client;

import dev.promptledger.v1.AnalyticsServiceGrpc;
import dev.promptledger.v1.AnalyticsServiceGrpc.AnalyticsServiceBlockingStub;
import dev.promptledger.v1.CodeRegistrationServiceGrpc;
import dev.promptledger.v1.CodeRegistrationServiceGrpc.CodeRegistrationServiceBlockingStub;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.ExecutionServiceGrpc.ExecutionServiceBlockingStub;
import dev.promptledger.v1.RegistryServiceGrpc;
import dev.promptledger.v1.RegistryServiceGrpc.RegistryServiceBlockingStub;
import io.grpc.Channel;

/**
 * The generated stubs over the client's connection, for all that the client does not have. They carry the key; they have neither
 * deadlines nor repeats, and throw {@link io.grpc.StatusRuntimeException}.
 *
 * @param channel for stubs of other kinds, such as {@code RegistryServiceGrpc.newFutureStub(channel)}
 */
public record RawStubs(Channel channel) {
    public RegistryServiceBlockingStub registry() {
        return RegistryServiceGrpc.newBlockingStub(channel);
    }

    public ExecutionServiceBlockingStub executions() {
        return ExecutionServiceGrpc.newBlockingStub(channel);
    }

    public CodeRegistrationServiceBlockingStub code() {
        return CodeRegistrationServiceGrpc.newBlockingStub(channel);
    }

    public AnalyticsServiceBlockingStub analytics() {
        return AnalyticsServiceGrpc.newBlockingStub(channel);
    }

    @Override
    public String toString() {
        return "RawStubs[registry, executions, code, analytics]";
    }
}
