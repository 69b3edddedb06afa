//! Compiles `proto/` without a protoc on the machine: protox parses, tonic-prost-build generates, and the descriptor
//! set is written beside the code for reflection.

use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir("proto/promptledger/v1")?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|ext| ext == "proto"));
    files.sort();
    let descriptors = protox::Compiler::new(["proto"])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?
        .file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::codec::Codec")
        // Rarely there, and large: an event without it stays small.
        .boxed(".promptledger.v1.ExecutionSnapshot.execution")
        .boxed(".promptledger.v1.ExecutionStateChanged.execution")
        .compile_fds(descriptors)?;
    Ok(())
}
