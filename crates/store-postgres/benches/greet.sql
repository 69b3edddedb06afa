-- Ids of the project, the prompt `greet` and its version.
SELECT p.project_id, p.id, v.id FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id WHERE p.name = 'greet'
