//! The RPCs of the contract, and what the gate asks of each: one table, in which a call's path is looked up once.

use super::request_limits::{self as limits, RequestLimits};

/// What a path says of its calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rpc {
    /// Without its service; names are unique among the services of the contract. `other`: not of the contract.
    pub(super) name: &'static str,
    pub(super) answer: RpcAnswer,
    /// Whether it changes something.
    pub(super) writes: bool,
    /// Whether it records an execution.
    pub(super) records: bool,
    pub(crate) limits: RequestLimits,
    /// Where a request names what it is about: the paths of texts, which together name it. Empty for what reads, and for
    /// what is about many.
    pub(super) object: &'static [&'static [u32]],
}

/// How an RPC is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RpcAnswer {
    Small,
    /// A page, or an execution with its texts.
    Large,
    Stream,
}

impl Rpc {
    pub(super) fn is_stream(&self) -> bool {
        self.answer == RpcAnswer::Stream
    }

    /// Whether it is a stream that lasts until its caller, its age or a drain ends it. The alerts tell these by their names too.
    pub(super) fn is_watch(&self) -> bool {
        self.is_stream() && self.name.starts_with("Watch")
    }

    pub(super) fn is_large_read(&self) -> bool {
        self.answer == RpcAnswer::Large
    }
}

const fn read(name: &'static str) -> Rpc {
    Rpc { name, answer: RpcAnswer::Small, writes: false, records: false, limits: limits::ORDINARY, object: &[] }
}

const fn large_read(name: &'static str) -> Rpc {
    Rpc { answer: RpcAnswer::Large, ..read(name) }
}

const fn stream(name: &'static str) -> Rpc {
    Rpc { answer: RpcAnswer::Stream, ..read(name) }
}

/// Named by the first field of its request.
const fn write(name: &'static str) -> Rpc {
    Rpc { writes: true, object: &[&[1]], ..read(name) }
}

/// Named by the first field of its spec.
const fn record(name: &'static str) -> Rpc {
    Rpc { records: true, object: &[&[1, 1]], limits: limits::SPEC, ..write(name) }
}

/// By the path within the contract's package, sorted.
static RPCS: [(&str, Rpc); 36] = [
    ("AnalyticsService/GetPromptAnalytics", large_read("GetPromptAnalytics")),
    ("AnalyticsService/QueryUsage", large_read("QueryUsage")),
    ("CodeRegistrationService/ExecuteCodePrompt", record("ExecuteCodePrompt")),
    (
        "CodeRegistrationService/RegisterCodePrompts",
        Rpc { object: &[], limits: limits::CODE, ..write("RegisterCodePrompts") },
    ),
    ("CodeRegistrationService/StreamCodePrompt", Rpc { answer: RpcAnswer::Stream, ..record("StreamCodePrompt") }),
    ("ExecutionService/CancelExecution", write("CancelExecution")),
    ("ExecutionService/GetExecution", large_read("GetExecution")),
    ("ExecutionService/ListExecutions", large_read("ListExecutions")),
    ("ExecutionService/RunExecution", record("RunExecution")),
    ("ExecutionService/StreamExecution", Rpc { answer: RpcAnswer::Stream, ..record("StreamExecution") }),
    ("ExecutionService/SubmitExecution", record("SubmitExecution")),
    ("ExecutionService/VerifyExecution", read("VerifyExecution")),
    ("ExecutionService/WatchExecution", stream("WatchExecution")),
    ("ExecutionService/WatchExecutions", stream("WatchExecutions")),
    ("RegistryService/ArchivePrompt", write("ArchivePrompt")),
    ("RegistryService/BatchGetPrompts", large_read("BatchGetPrompts")),
    ("RegistryService/ExportPrompts", stream("ExportPrompts")),
    ("RegistryService/GetPrompt", read("GetPrompt")),
    ("RegistryService/GetPromptHistory", large_read("GetPromptHistory")),
    ("RegistryService/GetVersion", read("GetVersion")),
    ("RegistryService/ImportPrompts", Rpc { object: &[], limits: limits::IMPORT, ..write("ImportPrompts") }),
    ("RegistryService/ListModels", large_read("ListModels")),
    ("RegistryService/ListPromptChanges", large_read("ListPromptChanges")),
    ("RegistryService/ListPrompts", large_read("ListPrompts")),
    ("RegistryService/ListVersions", large_read("ListVersions")),
    ("RegistryService/MigratePromptMode", write("MigratePromptMode")),
    ("RegistryService/PutModel", Rpc { object: &[&[1], &[2]], ..write("PutModel") }),
    ("RegistryService/PutPrompt", Rpc { limits: limits::PUT, ..write("PutPrompt") }),
    ("RegistryService/RemoveLabel", write("RemoveLabel")),
    ("RegistryService/RenderPrompt", Rpc { limits: limits::RENDER, ..read("RenderPrompt") }),
    ("RegistryService/SetActiveVersion", write("SetActiveVersion")),
    ("RegistryService/SetLabel", write("SetLabel")),
    ("RegistryService/SetVersionStatus", write("SetVersionStatus")),
    ("RegistryService/UnarchivePrompt", write("UnarchivePrompt")),
    ("RegistryService/UpdatePrompt", write("UpdatePrompt")),
    ("RegistryService/WatchPrompts", Rpc { limits: limits::WATCH_PROMPTS, ..stream("WatchPrompts") }),
];

/// Of what is not of the contract. Reflection is a stream; the rest ends at once.
static OTHER: Rpc = stream("other");
static HEALTH: Rpc = Rpc { limits: limits::HEALTH, ..stream("other") };

pub(crate) fn of(path: &str) -> &'static Rpc {
    let within = path.strip_prefix("/promptledger.v1.");
    let place = within.and_then(|rpc| RPCS.binary_search_by_key(&rpc, |(path, _)| path).ok());
    match place.and_then(|place| RPCS.get(place)) {
        Some((_, rpc)) => rpc,
        None if is_health(path) => &HEALTH,
        None => &OTHER,
    }
}

/// The limits of the RPC that an operation of the HTTP front is, whose name begins with the RPC's.
pub(crate) fn limits_of_operation(operation: &str) -> RequestLimits {
    let is_it = |rpc: &Rpc| operation.get(..rpc.name.len()).is_some_and(|start| start.eq_ignore_ascii_case(rpc.name));
    let mut bounded = RPCS.iter().map(|(_, rpc)| rpc).filter(|rpc| !rpc.limits.counts.is_empty());
    bounded.find(|rpc| is_it(rpc)).map_or(limits::ORDINARY, |rpc| rpc.limits)
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
    use std::collections::HashMap;

    use prompt_ledger_domain::limits as domain;
    use prost::Message as _;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{DescriptorProto, FileDescriptorSet, MethodDescriptorProto};

    use super::super::counts::Most;
    use super::*;

    /// Every message of the contract by its full name, and every RPC with its path within the package.
    fn contract() -> (HashMap<String, DescriptorProto>, Vec<(String, MethodDescriptorProto)>) {
        let set = FileDescriptorSet::decode(prompt_ledger_proto::FILE_DESCRIPTOR_SET).unwrap();
        let (mut messages, mut methods) = (HashMap::new(), Vec::new());
        for file in set.file {
            let package = file.package().to_owned();
            for service in file.service.iter().filter(|_| package == "promptledger.v1") {
                let path = |method: &MethodDescriptorProto| format!("{}/{}", service.name(), method.name());
                methods.extend(service.method.iter().map(|method| (path(method), method.clone())));
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
    fn every_rpc_of_the_contract_is_in_the_table_as_it_is() {
        let (messages, methods) = contract();
        let spec = Some(".promptledger.v1.ExecutionSpec");
        for (path, method) in &methods {
            let rpc = of(&format!("/promptledger.v1.{path}"));
            assert_eq!((rpc.name, rpc.is_stream()), (method.name(), method.server_streaming()), "{path}");
            let has_spec = messages[method.input_type()].field.iter().any(|field| field.type_name.as_deref() == spec);
            assert_eq!(rpc.records, has_spec, "{path}");
            let begins = ["Get", "BatchGet", "List", "Watch", "Query", "Render", "Export", "Verify"];
            assert_eq!(rpc.writes, !begins.iter().any(|word| method.name().starts_with(word)), "{path}");
            assert!(rpc.is_large_read() || !method.name().starts_with("List"), "{path}");
            assert!(rpc.writes || rpc.object.is_empty(), "{path}");
        }
        assert!(RPCS.len() == methods.len() && RPCS.is_sorted_by_key(|(path, _)| path));
    }

    #[test]
    fn an_rpc_with_bounds_has_one_for_all_that_grows_in_its_request() {
        let (messages, methods) = contract();
        for (path, method) in &methods {
            let RequestLimits { bytes, counts } = of(&format!("/promptledger.v1.{path}")).limits;
            let growing = growing(&messages, method.input_type(), &[], "");
            if counts.is_empty() {
                assert_eq!(bytes, 64 * 1024, "{path}");
                assert!(growing.iter().all(|(_, _, is_struct)| !is_struct), "{path} takes a struct: it needs bounds");
                continue;
            }
            assert_eq!(counts.len(), growing.len(), "{path}: {growing:?}");
            for (bound, (at, name, is_struct)) in counts.iter().zip(growing) {
                assert_eq!((bound.path, bound.most == Most::Values), (&*at, is_struct), "{path}");
                // A wrapper of a list is named as the list.
                assert_eq!(bound.name, name.trim_end_matches(".values"), "{path}");
            }
            assert!((64 * 1024..=domain::REQUEST_BYTES).contains(&bytes), "{path}");
        }
    }

    #[test]
    fn what_is_not_of_the_contract_has_rules_too() {
        for method in ["Check", "Watch"] {
            assert_eq!(of(&format!("/grpc.health.v1.Health/{method}")).limits.bytes, 1024);
        }
        let reflection =
            ["v1", "v1alpha"].map(|v| format!("/grpc.reflection.{v}.ServerReflection/ServerReflectionInfo"));
        let others = ["/promptledger.v1.ExecutionService/Nothing", "/a.B/RunExecution", "/", ""].map(str::to_owned);
        for path in reflection.iter().chain(&others) {
            let rpc = of(path);
            assert_eq!((rpc.name, rpc.limits.bytes, rpc.is_stream()), ("other", 64 * 1024, true), "{path}");
        }
    }
}
