SELECT j.revision AS project_revision, c.revision, c.position, c.prompt_name, c.kind, c.version_number, c.label,
    c.from_value, c.to_value, c.created_by, c.key_id, c.key_name, c.note, c.at
FROM projects j
LEFT JOIN LATERAL (
    SELECT * FROM prompt_changes q
    WHERE q.project_id = j.id AND (q.revision, q.position) < (:before_revision, :before_position)
        AND {of} AND (:kinds::text[] IS NULL OR q.kind = ANY (:kinds))
    ORDER BY q.revision DESC, q.position DESC LIMIT :most) c ON true
WHERE j.id = :project_id ORDER BY c.revision DESC, c.position DESC
