INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format, checksum_hash,
    variables, created_by, created_at, source_repository, source_commit, source_path)
SELECT * FROM unnest(:rows) AS n (id, prompt_id, version_number, status, template_source, template_format, checksum_hash,
    variables, created_by, created_at, source_repository, source_commit, source_path)
