INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, content, template_format,
    is_opaque, checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path, note)
SELECT * FROM unnest(:rows) AS n (id, prompt_id, version_number, status, template_source, content, template_format,
    is_opaque, checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path, note)
