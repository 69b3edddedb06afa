SELECT hash FROM api_keys WHERE hash IN (SELECT unhex(value) FROM json_each(:hashes))
    AND revoked_at IS NULL
