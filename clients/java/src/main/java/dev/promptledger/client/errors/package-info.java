/**
 * Errors: unchecked, one class for each reason that a server gives, below one for each gRPC code, below
 * {@link dev.promptledger.client.errors.LedgerException}.
 */
package dev.promptledger.client.errors;
