DROP TABLE usage_open_executions;
DROP TABLE usage_rollups;
DROP TABLE usage_series;
DROP TABLE usage_rolled_up;

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

DELETE FROM schema_compatibility WHERE version = 2;
