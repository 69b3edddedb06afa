SELECT mode, archived_at IS NOT NULL AS archived, count(*) AS prompts FROM prompts WHERE project_id = $1
    GROUP BY mode, archived
