FROM json_each(:cursors) w CROSS JOIN execution_events e
    ON e.execution_id = w.value ->> 0 AND e.sequence > w.value ->> 1
ORDER BY e.execution_id, e.sequence
