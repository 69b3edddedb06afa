-- Milliseconds from recording an execution to its end, by the database's clock: p50 and p99 of those recorded in the
-- last :seconds seconds.
SELECT round((percentile_cont(0.5) WITHIN GROUP (ORDER BY taken))::numeric, 3),
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY taken))::numeric, 3), count(*)
FROM (SELECT extract(epoch FROM completed_at - created_at) * 1000 AS taken FROM executions
    WHERE completed_at IS NOT NULL AND created_at > clock_timestamp() - interval ':seconds seconds') AS ended;
