p.matches, p.place = :budget AS stopped
FROM projects j
LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT q.*, row_number() OVER (ORDER BY q.name) AS place,
            (:mode::text IS NULL OR q.mode = :mode) AND (:owner_team = '' OR q.owner_team = :owner_team)
            AND (:include_archived OR q.archived_at IS NULL)
            AND (:tag = '' OR q.tags::jsonb ? :tag)
            AND (:label = '' OR coalesce(q.labels::jsonb ? :label, false))
            AND NOT EXISTS (SELECT 1 FROM unnest(:words::text[]) AS w (word)
                WHERE strpos(lower(q.name COLLATE "C"), lower(w.word COLLATE "C")) = 0
                    AND strpos(lower(q.description COLLATE "C"), lower(w.word COLLATE "C")) = 0) AS matches
        FROM prompts q
        WHERE q.project_id = j.id AND q.name >= :from AND q.name <> :after AND q.name < :below
        ORDER BY q.name LIMIT :budget) walked
    WHERE walked.matches OR walked.place = :budget
    ORDER BY walked.name LIMIT :most) p ON true
LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = p.active_version_number
WHERE j.id = :project_id ORDER BY p.name
