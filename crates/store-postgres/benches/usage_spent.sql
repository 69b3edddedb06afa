-- The bytes of the log of writes so far and how many executions there are.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8, (SELECT count(*) FROM executions);
