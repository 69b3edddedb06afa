FROM projects j
LEFT JOIN prompts p ON p.project_id = j.id AND p.name = :name
LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = :checksum_hash
WHERE j.id = :project_id
