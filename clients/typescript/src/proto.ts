/** The messages, enums and services of the contract, for `client.raw` and for what the layer leaves out. */

export * from "./gen/promptledger/v1/analytics_pb.js";
export * from "./gen/promptledger/v1/chat_pb.js";
export * from "./gen/promptledger/v1/code_registration_pb.js";
export * from "./gen/promptledger/v1/content_pb.js";
export * from "./gen/promptledger/v1/error_reason_pb.js";
export * from "./gen/promptledger/v1/execution_event_pb.js";
export * from "./gen/promptledger/v1/execution_pb.js";
export * from "./gen/promptledger/v1/execution_record_pb.js";
export * from "./gen/promptledger/v1/model_pb.js";
export * from "./gen/promptledger/v1/prompt_pb.js";
export * from "./gen/promptledger/v1/registry_changes_pb.js";
export * from "./gen/promptledger/v1/registry_labels_pb.js";
export * from "./gen/promptledger/v1/registry_pb.js";
export * from "./gen/promptledger/v1/registry_prompts_pb.js";
export * from "./gen/promptledger/v1/registry_transfer_pb.js";
export * from "./gen/promptledger/v1/registry_versions_pb.js";
export * from "./gen/promptledger/v1/registry_watch_pb.js";
export * from "./gen/promptledger/v1/spec_pb.js";
