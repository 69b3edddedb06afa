SELECT j.revision AS project_revision, c.revision, c.name
FROM projects j
LEFT JOIN LATERAL (
    SELECT p.revision, p.name FROM prompts p
    WHERE p.project_id = j.id AND p.revision > :after AND p.revision > 0
    ORDER BY p.revision LIMIT :most) c ON true
WHERE j.id = :project_id ORDER BY c.revision
