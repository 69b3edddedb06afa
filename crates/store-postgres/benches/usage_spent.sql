-- Bytes of write-ahead log written so far, and the number of executions.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8, (SELECT count(*) FROM executions);
