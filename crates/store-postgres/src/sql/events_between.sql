FROM execution_events e WHERE e.at >= :from AND e.at < :to ORDER BY e.at, e.execution_id, e.sequence LIMIT :most
