//! What the gate knows of a call by its path alone.

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

fn method(path: &str) -> Option<&str> {
    Some(path.strip_prefix("/promptledger.v1.")?.split_once('/')?.1)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_stream_of_the_contract_is_known_as_one() {
        let described = prost_types::FileDescriptorSet::decode(prompt_ledger_proto::FILE_DESCRIPTOR_SET).unwrap();
        let ours = described.file.iter().filter(|file| file.package() == "promptledger.v1");
        let (mut methods, mut large) = (0, 0);
        for service in ours.flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/promptledger.v1.{}/{}", service.name(), method.name());
                assert_eq!(is_stream(&path), method.server_streaming(), "{path}");
                assert!(!(is_stream(&path) && is_large_read(&path)));
                assert!(is_large_read(&path) || !method.name().starts_with("List"), "{path}");
                methods += 1;
                large += usize::from(is_large_read(&path));
            }
        }
        assert!(methods > 20 && large == 10, "{methods} {large}");
        assert!(is_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
    }
}
