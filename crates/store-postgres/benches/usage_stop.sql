-- Stops moving executions into rollups: waits for a transaction id that is never reached.
UPDATE usage_rolled_up SET marked_at = now(), marked_xid = '9223372036854775807';
