INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, created_at, revision, updated_at, archived_at, labels)
SELECT n.id, :project_id, n.name, n.mode, n.description, n.owner_team, n.tags, n.active, n.latest, n.created_at, n.revision,
    n.updated_at, n.archived_at, n.labels
FROM unnest(:rows)
    AS n (id, name, mode, description, owner_team, tags, active, latest, created_at, revision, updated_at, archived_at,
        labels)
ON CONFLICT (id) DO UPDATE SET
    mode = excluded.mode, description = excluded.description, owner_team = excluded.owner_team, tags = excluded.tags,
    active_version_number = excluded.active_version_number, latest_version_number = excluded.latest_version_number,
    revision = excluded.revision, updated_at = excluded.updated_at, archived_at = excluded.archived_at,
    labels = excluded.labels
