FROM projects j
CROSS JOIN LATERAL (SELECT uuid_nil.id FROM (VALUES ('00000000-0000-0000-0000-000000000000'::uuid)) AS uuid_nil (id)
    UNION ALL SELECT p.id FROM prompts p WHERE p.project_id = j.id) w
CROSS JOIN LATERAL (SELECT x.* FROM usage_rollups x WHERE x.project_id = j.id AND x.prompt_id = w.id
    AND x.span = :span AND x.start >= :from AND x.start < :to OFFSET 0) u
