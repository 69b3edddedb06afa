/** A ledger for tests: {@code prompt-ledger dev}, alone or by an extension of JUnit 5. */
package dev.promptledger.client.testing;
