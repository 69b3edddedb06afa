SELECT scope, NULL AS project_id, revision FROM revisions
    UNION ALL SELECT NULL, id, revision FROM projects WHERE id IN (SELECT value FROM json_each(:projects))
