package dev.promptledger.client.internal.steps;

/**
 * A time, and a random number.
 *
 * @param now in nanoseconds, of any clock that never goes back
 * @param chance from 0 to 1
 */
public record Moment(long now, double chance) {}
