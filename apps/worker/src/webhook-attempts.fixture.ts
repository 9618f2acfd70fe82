// For tests of single attempts: merchants with an endpoint each, and their deliveries.
import type http from 'node:http'
import { getWebhook, listWebhooks, retryWebhook } from '@sluice/contracts'
import { addMerchant, expectStatus, type Keys, type TestSystem, waitFor } from '@sluice/testing'
import { onTestFinished } from 'vitest'
import { type Received, startEndpoint } from './merchant-endpoint.fixture.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

/** The wait before the second attempt, since the end of the first. */
export const FIRST_WAIT_MS = 60_000

export const endpointThat = (respond: Parameters<typeof startEndpoint>[1]) =>
  startEndpoint(onTestFinished, respond)

/** Responds 500. */
export const fails = (_received: Received, response: http.ServerResponse) => response.writeHead(500).end('no')

/** Helpers for a system that may start later. */
export function deliveriesOf(system: () => TestSystem) {
  /** A merchant whose webhooks go to this URL, set by SQL without the API's checks. */
  async function merchantAt(url: string): Promise<{ id: string; keys: Keys }> {
    const merchant = await addMerchant(system().database)
    const settings = 'UPDATE merchants SET webhook_url = $2, webhook_secret = $3 WHERE id = $1'
    await system().database.query(settings, [merchant.id, url, SECRET])
    return merchant
  }

  /** Adds a delivery as if published, without the API, which a slow disk may delay. */
  const addTest = (merchantId: string) =>
    system().database.query(
      `INSERT INTO webhook_logs (merchant_id, event, payload, request_id)
     VALUES ($1, 'webhook.test', '{"event":"webhook.test","timestamp":1705315870,"data":{"payment":{"id":"pay_1"}}}', 'x')`,
      [merchantId],
    )

  const webhooksOf = async (headers: Keys) =>
    expectStatus(await system().call(listWebhooks, { headers }), 200).data

  const read = async (headers: Keys, webhook_id: string) =>
    expectStatus(await system().call(getWebhook, { headers, params: { webhook_id } }), 200)

  const retry = async (headers: Keys, webhook_id: string) =>
    expectStatus(await system().call(retryWebhook, { headers, params: { webhook_id } }), 200)

  /** Waits until this number of attempts is recorded; returns the webhook with its history. */
  const attempted = (headers: Keys, attempts: number, id?: string) =>
    waitFor(`${attempts} attempts to be recorded`, async () => {
      const webhook = await read(headers, id ?? (await webhooksOf(headers)).at(-1)!.id)
      return webhook.history.length >= attempts ? webhook : undefined
    })

  /** Makes the next attempt due now. */
  const makeDue = (id: string) =>
    system().database.query('UPDATE webhook_logs SET next_retry_at = now() WHERE id = $1', [id])

  return { merchantAt, addTest, webhooksOf, read, retry, attempted, makeDue }
}
