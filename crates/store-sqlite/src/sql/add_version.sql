INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format, checksum_hash,
    variables, created_by, created_at, source_repository, source_commit, source_path)
VALUES (:id, :prompt_id, :version_number, :status, :template_source, :template_format, :checksum_hash, :variables,
    :created_by, :created_at, :source_repository, :source_commit, :source_path)
