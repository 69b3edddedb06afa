/** Chats: messages, and places for messages. */

import { create, isMessage, toJson } from "@bufbuild/protobuf";

import {
  type ChatTemplate,
  type ChatTemplateEntry,
  ChatTemplateEntrySchema,
  ChatTemplateSchema,
} from "../gen/promptledger/v1/content_pb.js";
import { type ChatMessage as RawChatMessage, ChatMessageSchema } from "../gen/promptledger/v1/spec_pb.js";
import type { ToolCall } from "../records/execution.ts";
import { message } from "./json.ts";

/** An image of a message: exactly one of `url` and `data`. */
export interface Image {
  readonly url?: string;
  /** The bytes, also in base64. */
  readonly data?: Uint8Array | string;
  /** Such as `image/png`. Required with `data`. */
  readonly mediaType?: string;
  /** How closely the model looks, in the provider's own word. */
  readonly detail?: string;
}

/** A part of a message: exactly one of both. */
export interface ContentPart {
  readonly text?: string;
  readonly image?: Image;
}

/** A message of a chat. */
export interface ChatMessage {
  /** `system`, `developer`, `user`, `assistant` or `tool`. */
  readonly role: string;
  readonly content?: string;
  readonly parts?: readonly ContentPart[];
  readonly name?: string;
  readonly toolCalls?: readonly ToolCall[];
  /** Which call a `tool` message answers. */
  readonly toolCallId?: string;
}

/** The name of the variable whose value, a list of messages, is inserted here. */
export interface Placeholder {
  readonly placeholder: string;
}

/** What stands in a chat: a message, or a place for messages. */
export type ChatEntry = ChatMessage | Placeholder;

/** The message of the contract for a message of a chat. */
export function chatMessage(value: ChatMessage | RawChatMessage, field: string): RawChatMessage {
  return message(ChatMessageSchema, value, field);
}

/** The template of the contract for a chat. */
export function chatTemplate(entries: readonly (ChatEntry | ChatTemplateEntry)[], field: string): ChatTemplate {
  const each = (entry: ChatEntry | ChatTemplateEntry, index: number): ChatTemplateEntry => {
    const isBare = !isMessage(entry) && "role" in entry;
    return message(ChatTemplateEntrySchema, isBare ? { message: entry } : entry, `${field}[${String(index)}]`);
  };
  return create(ChatTemplateSchema, { entries: entries.map(each) });
}

/** A message of a chat, as it was sent. */
export function messageOf(raw: RawChatMessage): ChatMessage {
  return toJson(ChatMessageSchema, raw) as unknown as ChatMessage;
}

/** The entries of a chat, in the form that {@link chatTemplate} takes. */
export function entriesOf(template: ChatTemplate): ChatEntry[] {
  return template.entries.flatMap(({ entry }): ChatEntry[] => {
    switch (entry.case) {
      case "message":
        return [messageOf(entry.value)];
      case "placeholder":
        return [{ placeholder: entry.value }];
      default:
        // A kind that this client does not know.
        return [];
    }
  });
}
