INSERT INTO model_prices (id, provider, model_name, input, cached_input, cache_write_5m, cache_write_1h, output,
    valid_from, created_at)
VALUES (:id, :provider, :model_name, :input, :cached_input, :cache_write_5m, :cache_write_1h, :output, :valid_from,
    :created_at)
