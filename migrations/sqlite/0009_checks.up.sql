-- The checks of the three columns of states as comparisons. For a list of more than two words SQLite builds a table in memory
-- each time that it checks a row: five of them were a seventh of what recording an execution took. Constraints cannot be
-- altered; their text can (https://www.sqlite.org/lang_altertable.html#otheralter).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    '(status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))',
    '(status IN (''queued'', ''running'') OR status IN (''succeeded'', ''failed'') OR status = ''canceled'')')
WHERE type = 'table' AND name = 'executions';
UPDATE sqlite_schema SET sql = replace(replace(sql,
    '(from_status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))',
    '(from_status IN (''queued'', ''running'') OR from_status IN (''succeeded'', ''failed'') OR from_status = ''canceled'')'),
    '(to_status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))',
    '(to_status IN (''queued'', ''running'') OR to_status IN (''succeeded'', ''failed'') OR to_status = ''canceled'')')
WHERE type = 'table' AND name = 'execution_events';
PRAGMA writable_schema = RESET;
-- Other connections read the schema again.
CREATE TABLE schema_has_changed (id INTEGER PRIMARY KEY);
DROP TABLE schema_has_changed;
