SELECT v.version_number, c.executions
FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id JOIN version_executions c ON c.version_id = v.id
WHERE p.project_id = :project_id AND p.name = :name AND v.version_number >= :first
ORDER BY v.version_number LIMIT :most
