SELECT c.revision, c.position, c.prompt_name, c.kind, c.version_number, c.label, c.from_value, c.to_value, c.created_by,
    c.key_id, c.key_name, c.note, c.at,
    :kinds IS NULL OR c.kind IN (SELECT value FROM json_each(:kinds)) AS matches
FROM prompt_changes c
WHERE c.project_id = :project_id AND (c.revision, c.position) < (:before_revision, :before_position)
    AND {of}
ORDER BY c.revision DESC, c.position DESC LIMIT :budget
