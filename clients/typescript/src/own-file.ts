/** Files that this process reads as its user's own. */

import { constants, openSync, type Stats } from "node:fs";

/** Opens a file for reading; a named pipe without waiting for its writer. */
export function openOwnFile(path: string): number {
  // Windows has no such flag, and no such pipes among its files.
  const nonBlocking = (constants as { readonly O_NONBLOCK?: number }).O_NONBLOCK ?? 0;
  return openSync(path, constants.O_RDONLY | nonBlocking);
}

/** Whether it is a file that belongs to the user of this process, and that nobody else can write. */
export function isOwnFile(about: Stats): boolean {
  const user = process.geteuid?.();
  return about.isFile() && (user === undefined || (about.uid === user && (about.mode & 0o022) === 0));
}
