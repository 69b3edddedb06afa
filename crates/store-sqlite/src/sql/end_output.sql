INSERT INTO execution_outputs (execution_id, response_text) VALUES (:id, :response)
