UPDATE projects SET revision = :revision WHERE id = :project_id;
INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, created_at, revision, updated_at, archived_at, labels)
VALUES (:id, :project_id, :name, :mode, :description, :owner_team, :tags, :active, :latest, :created_at, :revision,
    :updated_at, :archived_at, :labels)
ON CONFLICT (id) DO UPDATE SET
    mode = excluded.mode, description = excluded.description, owner_team = excluded.owner_team, tags = excluded.tags,
    active_version_number = excluded.active_version_number, latest_version_number = excluded.latest_version_number,
    revision = excluded.revision, updated_at = excluded.updated_at, archived_at = excluded.archived_at,
    labels = excluded.labels
