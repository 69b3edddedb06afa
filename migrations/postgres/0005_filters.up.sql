-- Lists of executions: an index for each filter that few executions match, so that none looks at many executions more than
-- it returns.

-- Servers of the release before list slowly on this schema.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (5, 1);

-- `IF NOT EXISTS`: on a large table these can be built beforehand, each on its own and CONCURRENTLY, while servers write
-- (docs/deployment.md). One that such a build left unfinished would never be used.
DO $$
DECLARE unfinished text;
BEGIN
    SELECT string_agg(i.indexrelid::regclass::text, ', ') INTO unfinished
    FROM pg_index i WHERE i.indrelid = 'executions'::regclass AND NOT i.indisvalid;
    IF unfinished IS NOT NULL THEN
        RAISE EXCEPTION 'not finished: %; drop it, and build it again or leave that to this migration', unfinished;
    END IF;
END $$;

-- In the order of time from the earliest on, which is walked backwards: what ends is then entered at the end of its part, and
-- pages stay full.

-- Queued and running ones. There are few at a time: one index is enough. The second condition says nothing that the first does
-- not: it keeps the index from statements that only ask whether an execution has ended.
CREATE INDEX IF NOT EXISTS executions_live ON executions (status, project_id, created_at)
    WHERE completed_at IS NULL AND status <> 'succeeded';

-- The others are entered once, when they end: what is in an index from the beginning is entered with each change of
-- status.
CREATE INDEX IF NOT EXISTS executions_ended ON executions (project_id, status, mode, created_at)
    WHERE completed_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_ended_prompt ON executions (prompt_id, status, created_at)
    WHERE completed_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_ended_version ON executions (version_id, status, created_at)
    WHERE completed_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_environment ON executions (project_id, environment, status, created_at)
    WHERE completed_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_model ON executions (project_id, provider, model_name, created_at)
    WHERE completed_at IS NOT NULL;
-- Only of those that have one: the others pay nothing.
CREATE INDEX IF NOT EXISTS executions_label ON executions (project_id, label, created_at)
    WHERE completed_at IS NOT NULL AND label IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_error ON executions (project_id, error_type, created_at)
    WHERE error_type IS NOT NULL;

-- Dropped last: until then reads go on.
DROP INDEX executions_prompt;
DROP INDEX executions_version;
DROP INDEX executions_status;
