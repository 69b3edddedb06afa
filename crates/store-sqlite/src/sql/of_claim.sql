WHERE x.status = 'running' AND x.completed_at IS NULL AND x.claim_id = :claim_id
