-- Project, prompt and version of `greet`.
SELECT p.project_id, p.id, v.id FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id WHERE p.name = 'greet'
