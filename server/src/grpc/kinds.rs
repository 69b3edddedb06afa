//! What the gate knows of a call by its path alone.

use super::request_limits::records;

/// Whether the path's responses are pages or executions with their texts.
pub(super) fn is_large_read(path: &str) -> bool {
    const METHODS: [&str; 10] = [
        "BatchGetPrompts",
        "GetExecution",
        "GetPromptAnalytics",
        "GetPromptHistory",
        "ListExecutions",
        "ListModels",
        "ListPromptChanges",
        "ListPrompts",
        "ListVersions",
        "QueryUsage",
    ];
    method(path).is_some_and(|method| METHODS.contains(&method))
}

/// Whether this path answers with a stream, or is not of this contract.
pub(super) fn is_stream(path: &str) -> bool {
    const METHODS: [&str; 6] =
        ["ExportPrompts", "StreamCodePrompt", "StreamExecution", "WatchExecution", "WatchExecutions", "WatchPrompts"];
    method(path).is_none_or(|method| METHODS.contains(&method))
}

/// The RPCs of the contract, sorted; their names are unique among its services.
const RPCS: [&str; 36] = [
    "ArchivePrompt",
    "BatchGetPrompts",
    "CancelExecution",
    "ExecuteCodePrompt",
    "ExportPrompts",
    "GetExecution",
    "GetPrompt",
    "GetPromptAnalytics",
    "GetPromptHistory",
    "GetVersion",
    "ImportPrompts",
    "ListExecutions",
    "ListModels",
    "ListPromptChanges",
    "ListPrompts",
    "ListVersions",
    "MigratePromptMode",
    "PutModel",
    "PutPrompt",
    "QueryUsage",
    "RegisterCodePrompts",
    "RemoveLabel",
    "RenderPrompt",
    "RunExecution",
    "SetActiveVersion",
    "SetLabel",
    "SetVersionStatus",
    "StreamCodePrompt",
    "StreamExecution",
    "SubmitExecution",
    "UnarchivePrompt",
    "UpdatePrompt",
    "VerifyExecution",
    "WatchExecution",
    "WatchExecutions",
    "WatchPrompts",
];

/// The name of the RPC with this path; `other` for what is not of the contract.
pub(super) fn rpc_name(path: &str) -> &'static str {
    let number = method(path).and_then(|method| RPCS.binary_search(&method).ok());
    number.and_then(|number| RPCS.get(number)).copied().unwrap_or("other")
}

/// Those of them that change something.
const WRITES: [&str; 18] = [
    "ArchivePrompt",
    "CancelExecution",
    "ExecuteCodePrompt",
    "ImportPrompts",
    "MigratePromptMode",
    "PutModel",
    "PutPrompt",
    "RegisterCodePrompts",
    "RemoveLabel",
    "RunExecution",
    "SetActiveVersion",
    "SetLabel",
    "SetVersionStatus",
    "StreamCodePrompt",
    "StreamExecution",
    "SubmitExecution",
    "UnarchivePrompt",
    "UpdatePrompt",
];

/// Whether the RPC of this name changes something.
pub(super) fn writes(rpc: &str) -> bool {
    WRITES.binary_search(&rpc).is_ok()
}

/// Where a request names what it is about: the paths of texts, which together name it. None for what is about many.
pub(super) fn object_paths(path: &str) -> &'static [&'static [u32]] {
    match rpc_name(path) {
        _ if records(path) => &[&[1, 1]],
        "PutModel" => &[&[1], &[2]],
        "ImportPrompts" | "RegisterCodePrompts" => &[],
        rpc if writes(rpc) => &[&[1]],
        _ => &[],
    }
}

fn method(path: &str) -> Option<&str> {
    Some(path.strip_prefix("/promptledger.v1.")?.split_once('/')?.1)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn what_reads_is_told_by_its_name_and_the_rest_writes() {
        let reads = |rpc: &str| {
            let begins = ["Get", "BatchGet", "List", "Watch", "Query", "Render", "Export", "Verify"];
            begins.iter().any(|word| rpc.starts_with(word))
        };
        for rpc in RPCS {
            assert_eq!(writes(rpc), !reads(rpc), "{rpc}");
        }
    }

    #[test]
    fn every_stream_of_the_contract_is_known_as_one() {
        let described = prost_types::FileDescriptorSet::decode(prompt_ledger_proto::FILE_DESCRIPTOR_SET).unwrap();
        let ours = described.file.iter().filter(|file| file.package() == "promptledger.v1");
        let (mut methods, mut large) = (0, 0);
        for service in ours.flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/promptledger.v1.{}/{}", service.name(), method.name());
                assert_eq!(is_stream(&path), method.server_streaming(), "{path}");
                assert_eq!(rpc_name(&path), method.name());
                assert!(!(is_stream(&path) && is_large_read(&path)));
                assert!(is_large_read(&path) || !method.name().starts_with("List"), "{path}");
                methods += 1;
                large += usize::from(is_large_read(&path));
            }
        }
        assert!(methods == RPCS.len() && large == 10, "{methods} {large}");
        assert!(RPCS.is_sorted() && WRITES.is_sorted() && WRITES.iter().all(|rpc| RPCS.contains(rpc)));
        assert!(is_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
    }
}
