package dev.promptledger.client.internal;

/** Enums of the contract, which are open: a newer server may send more values. */
public final class Enums {
    private Enums() {}

    /** The value of a number; the first one where it is none. */
    public static <E extends Enum<E>> E of(E[] byNumber, int number) {
        return byNumber[number > 0 && number < byNumber.length ? number : 0];
    }
}
