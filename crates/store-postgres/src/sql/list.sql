SELECT y.id, y.created_at, y.matches, y.place = a.share AS stopped
FROM unnest(:arm_statuses::text[], :arm_modes::text[], :arm_shares::int8[]) AS a (status, mode, share)
CROSS JOIN LATERAL (
    SELECT k.id, k.created_at, k.matches, k.place FROM (
        SELECT {id} AS id, {at} AS created_at, row_number() OVER (ORDER BY {at} DESC, {id} DESC) AS place,
            coalesce({matches}, false) AS matches
        FROM {from}
        WHERE {walk} AND {at} BETWEEN :first AND :last AND ({at}, {id}) < (:before_at, :before_id)
        ORDER BY {at} DESC, {id} DESC LIMIT a.share) k
    WHERE k.matches OR k.place = a.share
    ORDER BY k.created_at DESC, k.id DESC LIMIT :most) y
WHERE {arms}
