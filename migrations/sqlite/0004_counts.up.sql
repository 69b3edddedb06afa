-- How many executions each version has, kept by the database itself, so that a history need not read them. One process
-- writes here: nobody waits for the row.
CREATE TABLE version_executions (
    version_id TEXT    NOT NULL PRIMARY KEY REFERENCES prompt_versions (id) ON DELETE CASCADE,
    executions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO version_executions (version_id, executions) SELECT version_id, count(*) FROM executions GROUP BY version_id;

CREATE TRIGGER executions_counted AFTER INSERT ON executions BEGIN
    INSERT INTO version_executions (version_id, executions) VALUES (NEW.version_id, 1)
    ON CONFLICT (version_id) DO UPDATE SET executions = executions + 1;
END;

CREATE TRIGGER executions_uncounted AFTER DELETE ON executions BEGIN
    UPDATE version_executions SET executions = executions - 1 WHERE version_id = OLD.version_id;
END;

INSERT INTO schema_compatibility (version, compatible_from) VALUES (4, 1);
