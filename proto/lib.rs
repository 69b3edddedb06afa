//! The contract of Prompt Ledger: messages, clients and servers generated from `proto/`.

pub mod codec;

/// Package `promptledger.v1`.
#[allow(clippy::disallowed_methods, reason = "generated: a client says that its server is not ready")]
#[allow(
    clippy::large_enum_variant,
    reason = "generated: a stream's kinds differ in size as their messages do, and one is encoded as soon as it is made"
)]
pub mod v1 {
    tonic::include_proto!("promptledger.v1");
}

/// The encoded `google.protobuf.FileDescriptorSet` of the contract and all that it imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
