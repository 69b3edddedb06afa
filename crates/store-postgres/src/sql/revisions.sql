SELECT scope, NULL::uuid AS project_id, revision FROM revisions
    UNION ALL SELECT NULL, id, revision FROM projects WHERE id = ANY($1)
