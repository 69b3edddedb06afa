/** What has been received of a stream and not been read yet. */

const MESSAGES = 1_024;
const BYTES = 8 * 1_024 * 1_024;

/** Messages in order, bounded by their number and their bytes; a single one that is larger has room where it is alone. */
export class MessageBuffer<Message> {
  #messages: { readonly message: Message; readonly size: number }[] = [];
  /** The first of the messages that has not been taken. */
  #first = 0;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#first === this.#messages.length;
  }

  /** Whether it was put; false where there is no room. */
  put(message: Message): boolean {
    const size = sizeOf(message);
    const count = this.#messages.length - this.#first;
    if (count > 0 && (count >= MESSAGES || this.#bytes + size > BYTES)) {
      return false;
    }
    this.#messages.push({ message, size });
    this.#bytes += size;
    return true;
  }

  take(): Message | undefined {
    const entry = this.#messages[this.#first];
    if (entry === undefined) {
      return undefined;
    }
    this.#first += 1;
    this.#bytes -= entry.size;
    // Moved together now and then, so that taking is not linear in what is held.
    if (this.#first === this.#messages.length || this.#first >= MESSAGES) {
      this.#messages = this.#messages.slice(this.#first);
      this.#first = 0;
    }
    return entry.message;
  }
}

/** About how many bytes a message takes: those of its texts and bytes, and some for each of its fields. */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case "string":
      return value.length;
    case "object":
      break;
    default:
      return 8;
  }
  if (value === null) {
    return 8;
  }
  if (value instanceof Uint8Array) {
    return value.byteLength;
  }
  let size = 8;
  for (const each of Object.values(value)) {
    size += sizeOf(each);
  }
  return size;
}
