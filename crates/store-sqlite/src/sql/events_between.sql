FROM execution_events e WHERE e.at >= :start AND e.at < :stop ORDER BY e.at, e.execution_id, e.sequence LIMIT :most
