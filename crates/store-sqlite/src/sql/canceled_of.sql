SELECT x.id, x.attempts FROM json_each(:held) AS held CROSS JOIN executions x ON x.id = held.value ->> 0
WHERE x.attempts = held.value ->> 1 AND x.status = 'running' AND x.cancel_requested_at IS NOT NULL
