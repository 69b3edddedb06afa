SELECT k.id, k.name, k.prefix, k.created_at, k.revoked_at, k.project_id, j.name AS project_name
FROM api_keys k LEFT JOIN projects j ON j.id = k.project_id
