DELETE FROM usage_rollups WHERE series IN (SELECT id FROM usage_series WHERE provider = '');
DELETE FROM usage_series WHERE provider = '';

DELETE FROM schema_compatibility WHERE version = 9;

-- The checks as they were.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    '(status IN (''queued'', ''running'') OR status IN (''succeeded'', ''failed'') OR status = ''canceled'')',
    '(status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))')
WHERE type = 'table' AND name = 'executions';
UPDATE sqlite_schema SET sql = replace(replace(sql,
    '(from_status IN (''queued'', ''running'') OR from_status IN (''succeeded'', ''failed'') OR from_status = ''canceled'')',
    '(from_status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))'),
    '(to_status IN (''queued'', ''running'') OR to_status IN (''succeeded'', ''failed'') OR to_status = ''canceled'')',
    '(to_status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))')
WHERE type = 'table' AND name = 'execution_events';
PRAGMA writable_schema = RESET;
-- Other connections read the schema again.
CREATE TABLE schema_has_changed (id INTEGER PRIMARY KEY);
DROP TABLE schema_has_changed;
