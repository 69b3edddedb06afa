SELECT p.revision, p.name FROM prompts p
WHERE p.project_id = :project_id AND p.revision > :after AND p.revision > 0 ORDER BY p.revision LIMIT :most
