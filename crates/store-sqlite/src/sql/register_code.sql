FROM json_each(:asked) a CROSS JOIN projects j ON j.id = :project_id
    LEFT JOIN prompts p ON p.project_id = j.id AND p.name = a.value ->> 0
    LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = a.value ->> 1
ORDER BY a.key
