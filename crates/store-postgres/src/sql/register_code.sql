FROM unnest(:rows) WITH ORDINALITY AS a (name, checksum_hash, place)
JOIN projects j ON j.id = :project_id
LEFT JOIN prompts p ON p.project_id = j.id AND p.name = a.name
LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = a.checksum_hash
ORDER BY a.place
