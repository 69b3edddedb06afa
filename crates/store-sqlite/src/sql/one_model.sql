WHERE m.provider = :provider AND m.model_name = :model_name
