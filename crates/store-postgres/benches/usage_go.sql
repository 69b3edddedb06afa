-- Resumes moving executions into rollups.
UPDATE usage_rolled_up SET marked_at = NULL, marked_xid = NULL;
