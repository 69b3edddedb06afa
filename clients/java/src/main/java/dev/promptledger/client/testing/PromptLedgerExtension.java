package dev.promptledger.client.testing;

import dev.promptledger.client.PromptLedger;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * An extension of JUnit 5 that gives tests a {@link DevServer} of the whole run, and a {@link PromptLedger} that is a client of it:
 *
 * <pre>{@code
 * @ExtendWith(PromptLedgerExtension.class)
 * class GreetingTest {
 *     @Test
 *     void greets(PromptLedger ledger) {
 *         ledger.prompts().put("greet", "Say hello to {{name}}.", put -> put.setActive(true));
 *         assertTrue(ledger.run("greet", Map.of("name", "Ada")).succeeded());
 *     }
 * }
 * }</pre>
 */
public final class PromptLedgerExtension implements ParameterResolver {
    private static final Namespace NAMESPACE = Namespace.create(PromptLedgerExtension.class);

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        var type = parameter.getParameter().getType();
        return type == DevServer.class || type == PromptLedger.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        // Kept with the root, it is closed when all tests of the run are over.
        var store = context.getRoot().getStore(NAMESPACE);
        var running = store.getOrComputeIfAbsent(Running.class, each -> new Running(DevServer.start()), Running.class);
        return parameter.getParameter().getType() == DevServer.class ? running.server() : running.client();
    }

    /** JUnit before 5.13 closes nothing but the first interface, JUnit 6 nothing but the second. */
    @SuppressWarnings("deprecation")
    private record Running(DevServer server, PromptLedger client)
            implements ExtensionContext.Store.CloseableResource, AutoCloseable {
        private Running(DevServer server) {
            this(server, server.connect());
        }

        @Override
        public void close() {
            client.close();
            server.close();
        }
    }
}
