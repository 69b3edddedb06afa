SELECT name, mode FROM prompts WHERE project_id = :project_id
    AND name IN (SELECT value FROM json_each(:names))
