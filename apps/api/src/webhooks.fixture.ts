// For tests of webhook routes, as one merchant: adds deliveries in any state, and sends requests.
import { randomUUID } from 'node:crypto'
import { getWebhook, listWebhooks, putWebhook } from '@sluice/contracts'
import { expectStatus, type Keys, type TestSystem } from '@sluice/testing'

export interface WebhookRow {
  id: string
  event: string
  status: 'pending' | 'success' | 'failed'
  attempts: number
  attempt_number: number
  created_at: string
  last_attempt_at: string | null
  next_retry_at: string | null
  response_code: number | null
  response_body: string | null
  error: string | null
  claimed_until: string | null
}

/** The row in wire form. */
export const shown = ({ attempt_number: _number, claimed_until: _until, ...fields }: WebhookRow) => fields

export function openWebhooks(system: TestSystem, merchant: { id: string; keys: Keys }) {
  const headers = merchant.keys

  async function addWebhook(fields: Partial<WebhookRow> = {}, merchantId = merchant.id): Promise<WebhookRow> {
    const { status = 'success', attempts = status === 'pending' ? 0 : 1 } = fields
    const row: WebhookRow = {
      id: randomUUID(),
      event: 'payment.success',
      status,
      attempts,
      attempt_number: attempts,
      created_at: '2024-01-15T10:31:10.000Z',
      last_attempt_at: attempts > 0 ? '2024-01-15T10:31:11.000Z' : null,
      next_retry_at: status === 'pending' ? '2124-01-15T10:31:10.000Z' : null,
      response_code: attempts === 0 ? null : status === 'success' ? 200 : 500,
      response_body: attempts === 0 ? null : 'OK',
      error: null,
      claimed_until: null,
      ...fields,
    }
    const columns = Object.keys(row)
    await system.database.query(
      `INSERT INTO webhook_logs (merchant_id, payload, request_id, settled_at, ${columns.join(', ')})
       VALUES ($1, $2, 'x', ${status === 'pending' ? 'NULL' : 'now()'}, ${columns.map((_, at) => `$${at + 3}`).join(', ')})`,
      [merchantId, `{"event":"${row.event}","timestamp":1705315870,"data":{}}`, ...Object.values(row)],
    )
    return row
  }

  const list = async (
    query: NonNullable<Parameters<typeof system.call<typeof listWebhooks>>[1]>['query'] = {},
  ) => expectStatus(await system.call(listWebhooks, { headers, query }), 200)

  const read = async (webhook_id: string) =>
    expectStatus(await system.call(getWebhook, { headers, params: { webhook_id } }), 200)

  const put = async (webhook_url: string | null) =>
    expectStatus(await system.call(putWebhook, { headers, body: { webhook_url } }), 200)

  /** Sends any request and returns its whole response. */
  async function send(method: string, path: string, body?: unknown, more: Record<string, string> = headers) {
    const response = await fetch(system.api.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const { error } = JSON.parse(text) as { error?: { code: string; field?: string } }
    return { status: response.status, headers: response.headers, text, error }
  }

  return { headers, addWebhook, list, read, put, send }
}
