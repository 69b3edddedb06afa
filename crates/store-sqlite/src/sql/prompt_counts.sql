SELECT mode, archived_at IS NOT NULL AS archived, count(*) AS prompts FROM prompts
    WHERE project_id = :project_id GROUP BY mode, archived_at IS NOT NULL
