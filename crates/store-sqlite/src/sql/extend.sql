UPDATE executions SET lease_until = :lease_until
FROM json_each(:held) AS held
WHERE executions.id = held.value ->> 0 AND executions.attempts = held.value ->> 1 AND executions.status = 'running'
RETURNING executions.id, executions.attempts, executions.cancel_requested_at IS NOT NULL AS cancel_requested
