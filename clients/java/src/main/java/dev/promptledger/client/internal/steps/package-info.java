/**
 * What a client does, step by step, without I/O, clock or randomness. The steps are those of {@code clients/README.md}.
 */
package dev.promptledger.client.internal.steps;
