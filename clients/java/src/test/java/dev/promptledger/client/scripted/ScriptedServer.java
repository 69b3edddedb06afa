package dev.promptledger.client.scripted;

import com.google.protobuf.Message;
import dev.promptledger.client.PromptLedger;
import dev.promptledger.v1.AnalyticsServiceGrpc;
import dev.promptledger.v1.CodeRegistrationServiceGrpc;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.RegistryServiceGrpc;
import io.grpc.Context;
import io.grpc.HandlerRegistry;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A server that answers as it is told, over a real connection, and keeps what it was asked. Each call of a method takes the next of
 * its answers; the last one is repeated.
 */
public final class ScriptedServer implements AutoCloseable {
    public static final String KEY = "pl_very-secret";

    /** Nothing more comes until the client hangs up. */
    public static final Object HANG = new Object();

    private final Server server;
    private final ExecutorService players = Executors.newCachedThreadPool(work -> {
        var thread = new Thread(work, "scripted");
        thread.setDaemon(true);
        return thread;
    });
    private final Map<String, Deque<List<Object>>> answers = new HashMap<>();
    private final List<Asked> asked = new CopyOnWriteArrayList<>();
    private final CountDownLatch hungUp = new CountDownLatch(1);

    /** A call: {@code left} is null where it has no deadline. */
    public record Asked(String method, Message request, Metadata headers, Duration left) {
        public String header(String name) {
            return headers.get(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
        }
    }

    public ScriptedServer() {
        this(0);
    }

    /** {@code port}: 0 is any that is free. */
    public ScriptedServer(int port) {
        try {
            var loopback = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
            server = NettyServerBuilder.forAddress(loopback)
                    .fallbackHandlerRegistry(new Methods())
                    .build()
                    .start();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    public String url() {
        return "http://127.0.0.1:" + server.getPort();
    }

    /** A client with quick settings. */
    public PromptLedger connect() {
        return PromptLedger.connect(options -> options.server(url()).apiKey(KEY));
    }

    /** The next answer of a method: messages, {@link Refusal}s, {@link #HANG}, latches that are waited for, and actions. */
    public ScriptedServer on(String method, Object... items) {
        synchronized (answers) {
            answers.computeIfAbsent(method, each -> new ArrayDeque<>()).add(List.of(items));
        }
        return this;
    }

    public List<Asked> asked() {
        return asked;
    }

    public List<String> methods() {
        return asked.stream().map(Asked::method).toList();
    }

    public <T> List<T> requests(Class<T> type) {
        return asked.stream()
                .map(Asked::request)
                .filter(type::isInstance)
                .map(type::cast)
                .toList();
    }

    /** Waits until a client has ended a call before its answer was over. */
    public boolean wasHungUp() throws InterruptedException {
        return wasHungUp(Duration.ofSeconds(60));
    }

    /** Waits that long at most. */
    public boolean wasHungUp(Duration atMost) throws InterruptedException {
        return hungUp.await(atMost.toNanos(), TimeUnit.NANOSECONDS);
    }

    @Override
    public void close() {
        server.shutdownNow();
        players.shutdownNow();
        try {
            // Then its port is free.
            server.awaitTermination(60, TimeUnit.SECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private List<Object> next(String method) {
        synchronized (answers) {
            var left = answers.get(method);
            if (left == null) {
                return List.of(Refusal.of(Status.Code.FAILED_PRECONDITION));
            }
            return left.size() > 1 ? left.remove() : left.peek();
        }
    }

    private final class Methods extends HandlerRegistry {
        private final Map<String, ServerMethodDefinition<?, ?>> byName = new HashMap<>();

        private Methods() {
            Stream.of(
                            RegistryServiceGrpc.getServiceDescriptor(),
                            ExecutionServiceGrpc.getServiceDescriptor(),
                            CodeRegistrationServiceGrpc.getServiceDescriptor(),
                            AnalyticsServiceGrpc.getServiceDescriptor())
                    .flatMap(service -> service.getMethods().stream())
                    .forEach(method -> byName.put(method.getFullMethodName(), definition(method)));
        }

        private <Q, A> ServerMethodDefinition<Q, A> definition(MethodDescriptor<Q, A> method) {
            return ServerMethodDefinition.create(method, (call, headers) -> {
                call.request(2);
                return new Play<>(call, headers);
            });
        }

        @Override
        public ServerMethodDefinition<?, ?> lookupMethod(String name, String authority) {
            return byName.get(name);
        }
    }

    private final class Play<Q, A> extends ServerCall.Listener<Q> {
        private final ServerCall<Q, A> call;
        private final Metadata headers;
        private final Duration left;
        private final CountDownLatch gone = new CountDownLatch(1);
        private Message request;
        private volatile boolean played;

        private Play(ServerCall<Q, A> call, Metadata headers) {
            this.call = call;
            this.headers = headers;
            var deadline = Context.current().getDeadline();
            this.left = deadline == null ? null : Duration.ofNanos(deadline.timeRemaining(TimeUnit.NANOSECONDS));
        }

        @Override
        public void onMessage(Q message) {
            request = (Message) message;
        }

        @Override
        public void onHalfClose() {
            var method = call.getMethodDescriptor().getBareMethodName();
            asked.add(new Asked(method, request, headers, left));
            var items = next(method);
            players.execute(() -> play(items));
        }

        @Override
        public void onCancel() {
            // Before the script goes on, and ends.
            if (!played) {
                hungUp.countDown();
            }
            gone.countDown();
        }

        private void play(List<Object> items) {
            try {
                call.sendHeaders(new Metadata());
                for (var item : items) {
                    if (item instanceof Refusal refusal) {
                        end(refusal.status(), refusal.trailers());
                        return;
                    }
                    play(item);
                }
                end(Status.OK, new Metadata());
            } catch (InterruptedException | IllegalStateException over) {
                // The server was closed, or the client is gone.
            }
        }

        @SuppressWarnings("unchecked")
        private void play(Object item) throws InterruptedException {
            if (item == HANG) {
                gone.await();
            } else if (item instanceof CountDownLatch latch) {
                latch.await();
            } else if (item instanceof Runnable action) {
                action.run();
            } else {
                call.sendMessage((A) item);
            }
        }

        private void end(Status status, Metadata trailers) {
            played = true;
            if (!call.isCancelled()) {
                call.close(status, trailers);
            }
        }
    }
}
