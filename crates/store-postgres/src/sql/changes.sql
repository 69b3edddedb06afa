SELECT j.revision AS project_revision, c.revision, c.position, c.prompt_name, c.kind, c.version_number, c.label,
    c.from_value, c.to_value, c.created_by, c.key_id, c.key_name, c.note, c.at, c.matches, c.place = :budget AS stopped
FROM projects j
LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT q.*, row_number() OVER (ORDER BY q.revision DESC, q.position DESC) AS place,
            :kinds::text[] IS NULL OR q.kind = ANY (:kinds) AS matches
        FROM prompt_changes q
        WHERE q.project_id = j.id AND (q.revision, q.position) < (:before_revision, :before_position) AND {of}
        ORDER BY q.revision DESC, q.position DESC LIMIT :budget) walked
    WHERE walked.matches OR walked.place = :budget
    ORDER BY walked.revision DESC, walked.position DESC LIMIT :most) c ON true
WHERE j.id = :project_id ORDER BY c.revision DESC, c.position DESC
