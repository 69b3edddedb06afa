//! The sizes of requests, and what they may hold.

use prompt_ledger_domain::limits;

use super::counts::{Bound, Most};

/// Of a request without large fields, and of the small fields of one with them.
const ORDINARY_BYTES: usize = 64 * 1024;
/// The most bytes of a name in a repeated field, with tag and length.
const ENCODED_NAME: usize = limits::NAME_BYTES + 4;

#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// The most bytes of a message, encoded. Those of an RPC with large fields are the limits of these fields, and
    /// [`ORDINARY_BYTES`] for all others.
    pub(crate) bytes: usize,
    /// Bounds that are checked on the encoded message: all that repeats in it. Empty where it has no large fields.
    pub(crate) counts: &'static [Bound],
}

pub(super) const ORDINARY: RequestLimits = RequestLimits { bytes: ORDINARY_BYTES, counts: &[] };
/// The most bytes of a request to health are below what the budget counts, so that no load can keep a probe from its
/// answer.
pub(super) const HEALTH: RequestLimits = RequestLimits { bytes: 1024, counts: &[] };

/// The most bytes of a content beside its template: images and config.
const BESIDE_TEMPLATE: usize = limits::IMAGES_BYTES + limits::CONFIG_BYTES;

pub(super) const SPEC: RequestLimits = RequestLimits {
    bytes: limits::VARIABLES_BYTES + limits::PROMPT_BYTES + BESIDE_TEMPLATE + ORDINARY_BYTES,
    counts: &[
        Bound { path: &[1, 6], name: "spec.variables", most: Most::Values },
        Bound { path: &[1, 7], name: "spec.messages", most: Most::Entries(limits::MESSAGES) },
        Bound { path: &[1, 7, 3], name: "spec.messages.parts", most: Most::Entries(limits::MESSAGES) },
        Bound { path: &[1, 7, 5], name: "spec.messages.tool_calls", most: Most::Entries(limits::MESSAGES) },
        Bound { path: &[1, 9, 6, 1], name: "spec.params.stop", most: Most::Entries(limits::STOP_SEQUENCES) },
        Bound { path: &[1, 9, 11], name: "spec.params.extra", most: Most::Values },
        Bound { path: &[1, 17], name: "spec.tools", most: Most::Entries(limits::TOOLS) },
        Bound { path: &[1, 20], name: "spec.metadata", most: Most::Entries(limits::METADATA) },
        Bound { path: &[1, 21], name: "spec.without", most: Most::Entries(limits::WITHOUT) },
    ],
};

pub(super) const PUT: RequestLimits = RequestLimits {
    bytes: limits::TEMPLATE_BYTES + BESIDE_TEMPLATE + ORDINARY_BYTES,
    counts: &[
        Bound { path: &[10, 1], name: "chat_template.entries", most: Most::Entries(limits::CHAT_ENTRIES) },
        Bound {
            path: &[10, 1, 1, 3],
            name: "chat_template.entries.message.parts",
            most: Most::Entries(limits::MESSAGES),
        },
        Bound {
            path: &[10, 1, 1, 5],
            name: "chat_template.entries.message.tool_calls",
            most: Most::Entries(limits::MESSAGES),
        },
        Bound { path: &[7, 1], name: "tags", most: Most::Entries(limits::TAGS) },
        Bound { path: &[11, 2, 6, 1], name: "config.params.stop", most: Most::Entries(limits::STOP_SEQUENCES) },
        Bound { path: &[11, 2, 11], name: "config.params.extra", most: Most::Values },
        Bound { path: &[11, 3], name: "config.tools", most: Most::Entries(limits::TOOLS) },
        Bound { path: &[11, 6], name: "config.custom", most: Most::Values },
        Bound { path: &[12], name: "labels", most: Most::Entries(limits::LABELS) },
    ],
};

pub(super) const RENDER: RequestLimits = RequestLimits {
    bytes: limits::VARIABLES_BYTES + limits::TEMPLATE_BYTES + BESIDE_TEMPLATE + ORDINARY_BYTES,
    counts: &[
        Bound { path: &[7, 2, 1], name: "draft.chat_template.entries", most: Most::Entries(limits::CHAT_ENTRIES) },
        Bound {
            path: &[7, 2, 1, 1, 3],
            name: "draft.chat_template.entries.message.parts",
            most: Most::Entries(limits::MESSAGES),
        },
        Bound {
            path: &[7, 2, 1, 1, 5],
            name: "draft.chat_template.entries.message.tool_calls",
            most: Most::Entries(limits::MESSAGES),
        },
        Bound { path: &[7, 3, 2, 6, 1], name: "draft.config.params.stop", most: Most::Entries(limits::STOP_SEQUENCES) },
        Bound { path: &[7, 3, 2, 11], name: "draft.config.params.extra", most: Most::Values },
        Bound { path: &[7, 3, 3], name: "draft.config.tools", most: Most::Entries(limits::TOOLS) },
        Bound { path: &[7, 3, 6], name: "draft.config.custom", most: Most::Values },
        Bound { path: &[5], name: "variables", most: Most::Values },
    ],
};

pub(super) const CODE: RequestLimits = RequestLimits {
    bytes: limits::REQUEST_BYTES,
    counts: &[
        Bound { path: &[1], name: "prompts", most: Most::Entries(limits::BATCH_PROMPTS) },
        Bound { path: &[1, 8, 1], name: "prompts.chat_template.entries", most: Most::Entries(limits::BATCH_ENTRIES) },
        Bound {
            path: &[1, 8, 1, 1, 3],
            name: "prompts.chat_template.entries.message.parts",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound {
            path: &[1, 8, 1, 1, 5],
            name: "prompts.chat_template.entries.message.tool_calls",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound {
            path: &[1, 9, 2, 6, 1],
            name: "prompts.config.params.stop",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound { path: &[1, 9, 2, 11], name: "prompts.config.params.extra", most: Most::Values },
        Bound { path: &[1, 9, 3], name: "prompts.config.tools", most: Most::Entries(limits::BATCH_ENTRIES) },
        Bound { path: &[1, 9, 6], name: "prompts.config.custom", most: Most::Values },
        Bound { path: &[1, 10], name: "prompts.labels", most: Most::Entries(limits::BATCH_ENTRIES) },
    ],
};

pub(super) const IMPORT: RequestLimits = RequestLimits {
    bytes: limits::REQUEST_BYTES,
    counts: &[
        Bound { path: &[1], name: "prompts", most: Most::Entries(limits::IMPORTED_PROMPTS) },
        Bound { path: &[1, 5], name: "prompts.tags", most: Most::Entries(limits::BATCH_ENTRIES) },
        Bound { path: &[1, 10], name: "prompts.versions", most: Most::Entries(limits::BATCH_ENTRIES) },
        Bound {
            path: &[1, 10, 4, 1],
            name: "prompts.versions.chat_template.entries",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound {
            path: &[1, 10, 4, 1, 1, 3],
            name: "prompts.versions.chat_template.entries.message.parts",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound {
            path: &[1, 10, 4, 1, 1, 5],
            name: "prompts.versions.chat_template.entries.message.tool_calls",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound {
            path: &[1, 10, 5, 2, 6, 1],
            name: "prompts.versions.config.params.stop",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound { path: &[1, 10, 5, 2, 11], name: "prompts.versions.config.params.extra", most: Most::Values },
        Bound {
            path: &[1, 10, 5, 3],
            name: "prompts.versions.config.tools",
            most: Most::Entries(limits::BATCH_ENTRIES),
        },
        Bound { path: &[1, 10, 5, 6], name: "prompts.versions.config.custom", most: Most::Values },
        Bound { path: &[1, 11], name: "prompts.labels", most: Most::Entries(limits::BATCH_ENTRIES) },
    ],
};

pub(super) const WATCH_PROMPTS: RequestLimits = RequestLimits {
    bytes: limits::WATCHED_NAMES * ENCODED_NAME + ORDINARY_BYTES,
    counts: &[Bound { path: &[1], name: "names", most: Most::Entries(limits::WATCHED_NAMES) }],
};
