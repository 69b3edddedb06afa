INSERT INTO prompt_changes (project_id, revision, position, prompt_name, kind, version_number, label, from_value, to_value,
    created_by, key_id, key_name, note, at)
VALUES (:project_id, :revision, :position, :prompt_name, :kind, :version_number, :label, :from_value, :to_value,
    :created_by, :key_id, :key_name, :note, :at)
