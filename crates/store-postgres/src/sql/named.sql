SELECT p.id AS prompt_id, v.id AS version_id
FROM prompts p LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = :version_number
WHERE p.project_id = :project_id AND p.name = :name
