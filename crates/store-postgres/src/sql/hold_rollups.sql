SELECT until, marked_at, coalesce(marked_xid < pg_snapshot_xmax(pg_current_snapshot()), false) AS marked,
    now() AS now, coalesce(pg_snapshot_xmin(pg_current_snapshot()) >= marked_xid, false) AS settled
    FROM usage_rolled_up FOR UPDATE SKIP LOCKED
