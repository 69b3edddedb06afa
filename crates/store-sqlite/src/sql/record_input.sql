INSERT INTO execution_inputs (execution_id, rendered_prompt, messages, variables)
SELECT x.id, job.rendered_prompt, job.messages, job.variables
FROM job CROSS JOIN executions x ON x.id = job.id WHERE true
ON CONFLICT DO NOTHING
