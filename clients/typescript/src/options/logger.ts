/** What a client tells of itself; `console` is one. Keys are in none of its texts. */
export interface Logger {
  /** Each call, once it has ended. */
  debug(message: string): void;
  /** Each repeat of a call, and each stream that is opened again. */
  info(message: string): void;
  /** What goes wrong beside the calls, such as a cache's file that cannot be written. */
  warn(message: string): void;
}

/** Warnings are the process's (`process.on("warning")`); the rest is not told. */
export const DEFAULT_LOGGER: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message) => {
    process.emitWarning(message, "PromptLedgerWarning");
  },
};
