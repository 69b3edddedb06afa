FROM unnest(:rows) WITH ORDINALITY AS a (checksum_hash, place)
JOIN projects j ON j.id = :project_id
LEFT JOIN prompts n ON n.project_id = j.id AND n.name = :name
LEFT JOIN prompts p ON p.id = n.id AND a.place = 1
LEFT JOIN prompt_versions v ON v.prompt_id = n.id AND v.checksum_hash = a.checksum_hash
ORDER BY a.place
