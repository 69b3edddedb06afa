//! The size of a request, and what it may hold: one table for all RPCs.

use prompt_ledger_domain::limits;

use super::counts::{Bound, Most};

/// The most bytes of a request of an RPC that is not in the table.
const ORDINARY: usize = 64 * 1024;
/// The most bytes of a request to health. It is below what the budget counts, so that no load can keep a probe from
/// its answer.
const HEALTH: usize = 1024;
/// The most bytes of a name in a repeated field, with tag and length.
const ENCODED_NAME: usize = limits::NAME_BYTES + 4;

#[derive(Debug)]
pub(crate) struct RequestLimits {
    /// The most bytes of a message, encoded.
    pub(crate) bytes: usize,
    /// Bounds that are checked on the encoded message.
    pub(crate) counts: &'static [Bound],
}

/// The most bytes of a content beside its template: images and config.
const BESIDE_TEMPLATE: usize = limits::IMAGES_BYTES + limits::CONFIG_BYTES;

const SPEC: (usize, &[Bound]) = (
    limits::VARIABLES_BYTES + limits::PROMPT_BYTES + BESIDE_TEMPLATE + ORDINARY,
    &[
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
);

const PUT: (usize, &[Bound]) = (
    limits::TEMPLATE_BYTES + BESIDE_TEMPLATE + ORDINARY,
    &[
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
);

const RENDER: (usize, &[Bound]) = (
    limits::VARIABLES_BYTES + limits::TEMPLATE_BYTES + BESIDE_TEMPLATE + ORDINARY,
    &[
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
);

const CODE: (usize, &[Bound]) = (
    limits::REQUEST_BYTES,
    &[
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
);

const IMPORT: (usize, &[Bound]) = (
    limits::REQUEST_BYTES,
    &[
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
);

/// The RPCs whose fields need more than [`ORDINARY`], with all that repeats in their requests. Their sizes are the
/// limits of their large fields, and [`ORDINARY`] for all others.
const LARGE: [(&str, (usize, &[Bound])); 10] = [
    ("/promptledger.v1.RegistryService/PutPrompt", PUT),
    ("/promptledger.v1.RegistryService/RenderPrompt", RENDER),
    ("/promptledger.v1.RegistryService/ImportPrompts", IMPORT),
    (
        "/promptledger.v1.RegistryService/WatchPrompts",
        (
            limits::WATCHED_NAMES * ENCODED_NAME + ORDINARY,
            &[Bound { path: &[1], name: "names", most: Most::Entries(limits::WATCHED_NAMES) }],
        ),
    ),
    ("/promptledger.v1.CodeRegistrationService/RegisterCodePrompts", CODE),
    ("/promptledger.v1.CodeRegistrationService/ExecuteCodePrompt", SPEC),
    ("/promptledger.v1.CodeRegistrationService/StreamCodePrompt", SPEC),
    ("/promptledger.v1.ExecutionService/RunExecution", SPEC),
    ("/promptledger.v1.ExecutionService/StreamExecution", SPEC),
    ("/promptledger.v1.ExecutionService/SubmitExecution", SPEC),
];

/// The RPCs that record an execution.
const RECORDING: [&str; 5] = [
    "/promptledger.v1.CodeRegistrationService/ExecuteCodePrompt",
    "/promptledger.v1.CodeRegistrationService/StreamCodePrompt",
    "/promptledger.v1.ExecutionService/RunExecution",
    "/promptledger.v1.ExecutionService/StreamExecution",
    "/promptledger.v1.ExecutionService/SubmitExecution",
];

pub(super) fn records(path: &str) -> bool {
    RECORDING.contains(&path)
}

pub(crate) fn of(path: &str) -> RequestLimits {
    if is_health(path) {
        return RequestLimits { bytes: HEALTH, counts: &[] };
    }
    if is_reflection(path) {
        return RequestLimits { bytes: ORDINARY, counts: &[] };
    }
    let large = LARGE.iter().find(|(rpc, _)| *rpc == path);
    let (bytes, counts) = large.map_or((ORDINARY, &[][..]), |(_, limits)| *limits);
    RequestLimits { bytes, counts }
}

/// The limits of the RPC that an operation of the HTTP front is, whose name begins with the RPC's.
pub(crate) fn of_operation(operation: &str) -> RequestLimits {
    let is_it = |rpc: &str| {
        let method = rpc.rsplit('/').next().unwrap_or_default();
        operation.get(..method.len()).is_some_and(|start| start.eq_ignore_ascii_case(method))
    };
    of(LARGE.iter().find(|(rpc, _)| is_it(rpc)).map_or("", |(rpc, _)| rpc))
}

pub(super) fn is_health(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
}

pub(super) fn is_health_watch(path: &str) -> bool {
    path == "/grpc.health.v1.Health/Watch"
}

/// Of either version.
pub(super) fn is_reflection(path: &str) -> bool {
    path.starts_with("/grpc.reflection.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{DescriptorProto, FileDescriptorSet};
    use std::collections::HashMap;

    /// Every message of the contract by its full name, and the path and the request's type of every RPC.
    fn contract() -> (HashMap<String, DescriptorProto>, Vec<(String, String)>) {
        let set = FileDescriptorSet::decode(prompt_ledger_proto::FILE_DESCRIPTOR_SET).unwrap();
        let (mut messages, mut methods) = (HashMap::new(), Vec::new());
        for file in set.file {
            let package = file.package().to_owned();
            for service in file.service {
                let path = |method: &str| format!("/{package}.{}/{method}", service.name());
                methods.extend(service.method.iter().map(|m| (path(m.name()), m.input_type().to_owned())));
            }
            for mut message in file.message_type {
                let name = format!(".{package}.{}", message.name());
                let nested = std::mem::take(&mut message.nested_type);
                messages.extend(nested.into_iter().map(|m| (format!("{name}.{}", m.name()), m)));
                messages.insert(name, message);
            }
        }
        (messages, methods)
    }

    /// What must be bounded in a message: its repeated fields and its structs, as path, name and whether it is a struct.
    fn growing(
        messages: &HashMap<String, DescriptorProto>,
        of: &str,
        at: &[u32],
        name: &str,
    ) -> Vec<(Vec<u32>, String, bool)> {
        let mut found = Vec::new();
        for field in &messages[of].field {
            let path = [at, &[field.number().cast_unsigned()]].concat();
            let name = if name.is_empty() { field.name().to_owned() } else { format!("{name}.{}", field.name()) };
            if field.label() == Label::Repeated {
                found.push((path.clone(), name.clone(), false));
            }
            match field.type_name() {
                ".google.protobuf.Struct" => found.push((path, name, true)),
                of if field.r#type() == Type::Message => found.extend(growing(messages, of, &path, &name)),
                _ => {}
            }
        }
        found
    }

    #[test]
    fn the_rpcs_that_record_are_those_with_a_spec() {
        let (messages, methods) = contract();
        let spec = Some(".promptledger.v1.ExecutionSpec");
        let with_spec = methods
            .iter()
            .filter(|(_, request)| messages[request].field.iter().any(|f| f.type_name.as_deref() == spec));
        let with_spec: Vec<_> = with_spec.map(|(path, _)| path).collect();
        assert_eq!(with_spec.len(), RECORDING.len());
        assert!(with_spec.iter().all(|path| records(path)), "{with_spec:?}");
    }

    #[test]
    fn the_table_holds_the_rpcs_of_the_contract_and_all_that_grows_in_their_requests() {
        let (messages, methods) = contract();
        for (rpc, (bytes, bounds)) in LARGE {
            let (_, request) = methods.iter().find(|(path, _)| path == rpc).unwrap_or_else(|| panic!("no RPC {rpc}"));
            let growing = growing(&messages, request, &[], "");
            assert_eq!(bounds.len(), growing.len(), "{rpc}: {growing:?}");
            for (bound, (path, name, is_struct)) in bounds.iter().zip(growing) {
                assert_eq!((bound.path, bound.most == Most::Values), (&*path, is_struct), "{rpc}");
                // A wrapper of a list is named as the list.
                assert_eq!(bound.name, name.trim_end_matches(".values"), "{rpc}");
            }
            assert!((ORDINARY..=limits::REQUEST_BYTES).contains(&bytes), "{rpc}");
            assert_eq!(of(rpc).bytes, bytes);
        }
    }

    #[test]
    fn other_rpcs_take_64_kib_and_no_structs() {
        let (messages, methods) = contract();
        assert!(methods.len() > LARGE.len());
        for (path, request) in methods.iter().filter(|(path, _)| LARGE.iter().all(|(rpc, _)| rpc != path)) {
            assert_eq!(of(path).bytes, 64 * 1024, "{path}");
            let growing = growing(&messages, request, &[], "");
            assert!(growing.iter().all(|(_, _, is_struct)| !is_struct), "{path} takes a struct: it needs an entry");
        }
    }

    #[test]
    fn health_and_reflection_have_their_own() {
        for method in ["Check", "Watch"] {
            assert_eq!(of(&format!("/grpc.health.v1.Health/{method}")).bytes, 1024);
        }
        for version in ["v1", "v1alpha"] {
            assert_eq!(
                of(&format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")).bytes,
                64 * 1024
            );
        }
    }
}
