// Inserts merchants with endpoints, and deliveries to them, directly into the tables.
import type { Sql } from './database.ts'

/** The credentials of the merchant of that number. */
export const merchantKeys = (n: number) => ({
  'x-api-key': `key_bench_${n}`,
  'x-api-secret': `secret_bench_${n}`,
})

const SECRET = `whsec_${Buffer.alloc(32, 'bench').toString('base64')}`

/** Makes a merchant for each URL and returns their ids in the same order. */
export async function makeMerchants(sql: Sql, urls: readonly string[]): Promise<string[]> {
  const values = urls.map((url, n) => {
    const { 'x-api-key': key, 'x-api-secret': secret } = merchantKeys(n)
    return `(${n}, '${key}', '${secret}', '${url}')`
  })
  const rows = await sql(`
    INSERT INTO merchants (name, email, api_key, api_secret, webhook_url, webhook_secret)
    SELECT 'Bench ' || n, n || '@bench.example', key, secret, url, '${SECRET}'
    FROM (VALUES ${values.join(', ')}) AS m(n, key, secret, url) RETURNING id, api_key`)
  const idOf = new Map(rows.map((row) => [row.api_key, String(row.id)]))
  return urls.map((_, n) => idOf.get(merchantKeys(n)['x-api-key'])!)
}

/** Makes `count` deliveries, to these merchants in turns, due now, in one commit without a wake-up, as `publish` does. */
export async function makeDeliveries(sql: Sql, merchantIds: readonly string[], count: number): Promise<void> {
  await sql(`
    INSERT INTO webhook_logs (id, merchant_id, event, payload, request_id)
    SELECT gen_random_uuid(), (${idArray(merchantIds)})[1 + n % ${merchantIds.length}], 'payment.success',
           json_build_object('event', 'payment.success', 'timestamp', extract(epoch FROM now())::bigint, 'data', json_build_object(
             'payment', json_build_object('id', 'pay_' || lpad(n::text, 16, '0'), 'order_id', 'order_' || lpad(n::text, 16, '0'),
               'amount', 50000, 'currency', 'INR', 'method', 'upi', 'vpa', 'user@paytm', 'status', 'success', 'captured', false,
               'refunded_amount', 0, 'error_code', NULL, 'error_description', NULL, 'created_at', now(), 'updated_at', now()))),
           'bench'
    FROM generate_series(0, ${count - 1}) AS n`)
}

/** Makes `count` deliveries that ended long ago: a claim must not scan them. */
export async function makeHistory(sql: Sql, merchantIds: readonly string[], count: number): Promise<void> {
  await sql(`
    INSERT INTO webhook_logs (merchant_id, event, payload, request_id, created_at, last_attempt_at, settled_at,
      next_retry_at, status, attempts, attempt_number, response_code, response_body)
    SELECT (${idArray(merchantIds)})[1 + n % ${merchantIds.length}], 'payment.success',
           json_build_object('event', 'payment.success', 'data', json_build_object('filler', repeat('x', 400))), 'history',
           at, at, at, NULL, 'success', 1, 1, 200, 'OK'
    FROM generate_series(1, ${count}) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS time`)
  await sql('ANALYZE')
}

export const idArray = (ids: readonly string[]) => `'{${ids.join(',')}}'::uuid[]`
