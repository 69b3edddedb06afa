/**
 * The client of Prompt Ledger. {@link dev.promptledger.client.PromptLedger#connect()} is where everything begins; errors are in
 * {@link dev.promptledger.client.errors}, a ledger for tests in {@link dev.promptledger.client.testing}.
 */
package dev.promptledger.client;
