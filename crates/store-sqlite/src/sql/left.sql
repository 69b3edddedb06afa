SELECT {columns} FROM executions WHERE status = 'running' AND status <> 'succeeded' AND lease_until <= :at
UNION ALL
SELECT {columns} FROM executions WHERE status = 'queued' AND expire_at <= :at
