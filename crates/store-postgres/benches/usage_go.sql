-- Executions are moved again.
UPDATE usage_folded SET marked_at = NULL, marked_xid = NULL;
