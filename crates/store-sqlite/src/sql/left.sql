SELECT {columns} FROM executions WHERE status = 'running' AND completed_at IS NULL AND lease_until <= :at
UNION ALL
SELECT {columns} FROM executions WHERE status = 'queued' AND expire_at <= :at
