CASE WHEN (:mode IS NULL OR p.mode = :mode) AND (:owner_team = '' OR p.owner_team = :owner_team)
    AND (:include_archived OR p.archived_at IS NULL)
    AND (:tag = '' OR EXISTS (SELECT 1 FROM json_each(p.tags) t WHERE t.value = :tag))
    AND (:label = '' OR EXISTS (SELECT 1 FROM json_each(p.labels) l WHERE l.key = :label))
    AND NOT EXISTS (SELECT 1 FROM json_each(:words) w
        WHERE instr(lower(p.name), lower(w.value)) = 0 AND instr(lower(p.description), lower(w.value)) = 0)
    THEN 1 ELSE 0 END AS matches
FROM projects j JOIN prompts p ON p.project_id = j.id
    LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = p.active_version_number
WHERE j.id = :project_id AND p.name >= :first AND p.name <> :after AND p.name < :beyond
ORDER BY p.name LIMIT :budget
