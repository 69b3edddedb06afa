INSERT INTO execution_outputs (execution_id, response_text)
SELECT x.id, job.response
