INSERT INTO prompt_changes (project_id, revision, position, prompt_name, kind, version_number, label, from_value, to_value,
    created_by, key_id, key_name, note, at)
SELECT :project_id, n.revision, n.position, n.prompt_name, n.kind, n.version_number, n.label, n.from_value, n.to_value,
    n.created_by, n.key_id, n.key_name, n.note, n.at
FROM unnest(:rows) AS n (prompt_name, kind, version_number, label, from_value, to_value, created_by, key_id, key_name,
    revision, position, at, note)
