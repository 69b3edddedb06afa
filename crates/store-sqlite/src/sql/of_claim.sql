WHERE x.status = 'running' AND x.status <> 'succeeded' AND x.claim_id = :claim_id
