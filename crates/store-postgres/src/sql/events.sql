SELECT e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at
FROM executions x LEFT JOIN execution_events e ON e.execution_id = x.id AND e.sequence > :after
WHERE x.id = :id AND x.project_id IS NOT DISTINCT FROM :project_id ORDER BY e.sequence LIMIT :most
