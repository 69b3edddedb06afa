INSERT INTO execution_outputs (execution_id, response_text, tool_calls) VALUES (:id, :response, :tool_calls)
