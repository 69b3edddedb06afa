FROM job CROSS JOIN executions x ON x.id = job.id
WHERE x.attempts = job.attempt AND x.status = 'running'
