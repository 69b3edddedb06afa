INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, content, template_format,
    is_opaque, checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path, note)
VALUES (:id, :prompt_id, :version_number, :status, :template_source, :content, :template_format, :is_opaque,
    :checksum_hash, :variables, :created_by, :created_at, :source_repository, :source_commit, :source_path, :note)
