FROM projects j
JOIN prompts p ON p.project_id = j.id
LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number < :before
WHERE j.id = :project_id AND p.name = :name ORDER BY v.version_number DESC LIMIT :most
