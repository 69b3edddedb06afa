UPDATE usage_rolled_up SET until = $1, marked_at = CASE WHEN $2 THEN now() ELSE marked_at END,
    marked_xid = CASE WHEN $2 THEN pg_current_xact_id() ELSE marked_xid END
