FROM unnest(:rows)
    AS k (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode, status)
CROSS JOIN LATERAL (SELECT x.* FROM usage_rollups x WHERE x.project_id = k.project_id
    AND x.prompt_id = k.prompt_id AND x.span = k.span AND x.start = k.start AND x.version_id = k.version_id
    AND x.provider = k.provider AND x.model_name = k.model_name AND x.environment = k.environment
    AND x.prompt_mode = k.prompt_mode AND x.status = k.status OFFSET 0) u
