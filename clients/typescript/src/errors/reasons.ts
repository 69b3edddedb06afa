/** Errors by the reason that a server gives, each under the class of its code. */

import { named } from "./base.ts";
import {
  Aborted,
  AlreadyExists,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  OutOfRange,
  PermissionDenied,
  ResourceExhausted,
  Unauthenticated,
  Unavailable,
} from "./codes.ts";

/** No prompt of that name exists in the project. */
export class PromptNotFound extends NotFound {}

/** The prompt has no version of that number or content. */
export class VersionNotFound extends NotFound {}

/** The prompt has no such label. */
export class LabelNotFound extends NotFound {}

/** The server knows no provider of that name. */
export class ProviderNotFound extends NotFound {}

/** The model is not registered; the message gives the call that registers it. */
export class ModelNotFound extends NotFound {}

/** The project has no execution of that id. */
export class ExecutionNotFound extends NotFound {}

/** No project of that name exists, or the key is another project's. */
export class ProjectNotFound extends NotFound {}

/** A field's value breaks its rule; `fields` says which and how. */
export class InvalidField extends InvalidArgument {}

/** The template does not parse; `metadata` has `line` and `column`. */
export class TemplateInvalid extends InvalidArgument {}

/** The template reads variables that were not sent. */
export class VariablesMissing extends InvalidArgument {
  /** The names of the variables, sorted. */
  get missing(): string[] {
    return Object.keys(this.fields)
      .map((field) => field.replace(/^variables\./, ""))
      .sort();
  }
}

/** The hash sent with a content is not its hash; `metadata` has the `computed_hash`. */
export class TemplateHashMismatch extends InvalidArgument {}

/** The page token comes from another list. */
export class PageTokenInvalid extends InvalidArgument {}

/** The prompt is in another mode than the call is for; `metadata` has its `mode` and the RPC to use (`use_rpc`). */
export class ModeMismatch extends FailedPrecondition {}

/** The prompt has no active version, and the request named none. */
export class NoActiveVersion extends FailedPrecondition {}

/** The version is active or labelled, and cannot be deprecated. */
export class VersionInUse extends FailedPrecondition {}

/** The prompt is archived: it can be read, but neither written nor executed. */
export class PromptArchived extends FailedPrecondition {}

/** An opaque template is never rendered: execute it by `messages`. */
export class TemplateOpaque extends FailedPrecondition {}

/** The provider has neither a key nor a base URL of its own. */
export class ProviderNotConfigured extends FailedPrecondition {}

/** The execution has succeeded or failed and cannot be canceled. */
export class ExecutionFinished extends FailedPrecondition {}

/** The prompt was written after its etag was read. */
export class EtagMismatch extends Aborted {}

/** The prompt exists, and the request has `create_only`. */
export class PromptExists extends AlreadyExists {}

/** Another request has used that idempotency key. */
export class IdempotencyKeyReused extends AlreadyExists {
  /** The execution that has the key. */
  get executionId(): string {
    return this.metadata["execution_id"] ?? "";
  }
}

/** The request has no API key. */
export class KeyMissing extends Unauthenticated {}

/** The API key is malformed, unknown, revoked or not accepted on this server. */
export class KeyInvalid extends Unauthenticated {}

/** The call needs a system key. */
export class ScopeMissing extends PermissionDenied {}

/** Something is larger than its limit; a repeat is refused alike. */
export class TooLarge extends ResourceExhausted {}

/** A queue or budget of the server is full; see `retryAfterMs`. */
export class Overloaded extends ResourceExhausted {
  /** The execution that was recorded all the same: read it instead. Empty where none was. */
  get executionId(): string {
    return this.metadata["execution_id"] ?? "";
  }
}

/** The key or the server has its maximum of watches. */
export class TooManyWatchers extends ResourceExhausted {}

/** The key calls too often. */
export class RateLimited extends ResourceExhausted {}

/** What the cursor points at is no longer stored. */
export class EventsCompacted extends OutOfRange {}

/** The cursor is beyond the execution's last event. */
export class SequenceAhead extends OutOfRange {}

/** The revision is beyond the project's. */
export class RevisionAhead extends OutOfRange {}

/** The client did not read its stream for too long. */
export class SlowConsumer extends Aborted {}

/** The server shuts down, or the stream has reached its maximum age. */
export class Draining extends Unavailable {}

/** The database did not answer in time. */
export class StoreUnavailable extends Unavailable {}

/** The classes by the names of their reasons. */
export const BY_REASON = {
  PromptNotFound,
  VersionNotFound,
  LabelNotFound,
  ProviderNotFound,
  ModelNotFound,
  ExecutionNotFound,
  ProjectNotFound,
  InvalidField,
  TemplateInvalid,
  VariablesMissing,
  TemplateHashMismatch,
  PageTokenInvalid,
  ModeMismatch,
  NoActiveVersion,
  VersionInUse,
  PromptArchived,
  TemplateOpaque,
  ProviderNotConfigured,
  ExecutionFinished,
  EtagMismatch,
  PromptExists,
  IdempotencyKeyReused,
  KeyMissing,
  KeyInvalid,
  ScopeMissing,
  TooLarge,
  Overloaded,
  TooManyWatchers,
  RateLimited,
  EventsCompacted,
  SequenceAhead,
  RevisionAhead,
  SlowConsumer,
  Draining,
  StoreUnavailable,
};

named(BY_REASON);
