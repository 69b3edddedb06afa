INSERT INTO execution_inputs (execution_id, rendered_prompt, messages, variables, request)
VALUES (:id, :rendered_prompt, :messages, :variables, :request)
