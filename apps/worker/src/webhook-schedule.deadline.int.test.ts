// The long schedule, 0/60/300/1800/7200 s, across killed workers and a killed Redis; tests move the due times.
import { getWebhook, listWebhooks, testWebhook } from '@sluice/contracts'
import { addMerchant, expectStatus, queueBackends, startSystem, waitFor } from '@sluice/testing'
import { describe, expect, inject, test } from 'vitest'
import { startEndpoint } from './merchant-endpoint.fixture.ts'

/** The waits before the second and later attempts, since the end of the attempt before. */
const WAITS_MS = [60_000, 300_000, 1_800_000, 7_200_000]
/** How late the schedule may be written, and how early by the rounding of times and durations. */
const WRITTEN_LATE_MS = 1000
const ROUNDING_MS = 5

type QueueBackend = (typeof queueBackends)[number]['backend']

/** A system, and a merchant whose endpoint responds 500 to every attempt. Both end with the test. */
async function startWithFailingEndpoint(
  backend: QueueBackend,
  onTestFinished: (end: () => void | Promise<void>) => void,
) {
  const endpoint = await startEndpoint(onTestFinished, (_received, response) =>
    response.writeHead(500).end('no'),
  )
  const system = await startSystem({ postgresUrl: inject('postgresUrl'), backend })
  onTestFinished(system.stop)
  const { id: merchantId, keys: headers } = await addMerchant(system.database)
  await system.database.query(
    `UPDATE merchants SET webhook_url = $2, webhook_secret = 'whsec_test_abc123' WHERE id = $1`,
    [merchantId, endpoint.url],
  )
  const list = async () => expectStatus(await system.call(listWebhooks, { headers }), 200).data
  const attempted = (id: string, count: number) =>
    waitFor(`attempt ${count}`, async () => {
      const input = { headers, params: { webhook_id: id } }
      const webhook = expectStatus(await system.call(getWebhook, input), 200)
      return webhook.history.length >= count ? webhook : undefined
    })
  /** Kills the worker and Redis and starts others: the queue's contents are lost. */
  const restart = async () => {
    await system.workers.at(-1)!.stop('SIGKILL')
    await system.redis?.stop('SIGKILL')
    await system.redis?.start()
    return system.startWorker()
  }
  return { system, endpoint, headers, list, attempted, restart }
}

// Both tests wait most of the time, so they run at once.
describe.for(queueBackends)('with the queue on $backend', { concurrent: true }, ({ backend, available }) => {
  test.skipIf(!available)(
    'five attempts, each after its wait, and no sixth, though worker and Redis are killed in between',
    async ({ onTestFinished }) => {
      const { system, endpoint, headers, list, attempted, restart } = await startWithFailingEndpoint(
        backend,
        onTestFinished,
      )
      const before = Date.now()
      expectStatus(await system.call(testWebhook, { headers }), 200)
      const { id } = (await list())[0]!
      const first = await attempted(id, 1)
      expect(Date.parse(first.last_attempt_at!)).toBeGreaterThanOrEqual(before)
      expect(Date.parse(first.last_attempt_at!)).toBeLessThan(before + 15_000)

      for (const [at, waitMs] of WAITS_MS.entries()) {
        const webhook = await attempted(id, at + 1)
        expect(webhook).toMatchObject({ status: 'pending', attempts: at + 1, response_code: 500 })
        expect(webhook.history).toHaveLength(at + 1)
        const last = webhook.history.at(-1)!
        const endedAt = Date.parse(last.at) + last.duration_ms
        const waits = Date.parse(webhook.next_retry_at!) - endedAt
        expect(waits, `after attempt ${at + 1}`).toBeGreaterThanOrEqual(waitMs - ROUNDING_MS)
        expect(waits, `after attempt ${at + 1}`).toBeLessThanOrEqual(waitMs + WRITTEN_LATE_MS)

        // Another worker, which has no job for it, keeps its due time.
        await restart()
        expect((await attempted(id, at + 1)).next_retry_at).toBe(webhook.next_retry_at)
        const [moved] = await system.database.query<{ due: Date }>(
          `UPDATE webhook_logs SET next_retry_at = now() + interval '500 milliseconds' WHERE id = $1
           RETURNING next_retry_at AS due`,
          [id],
        )
        const next = (await attempted(id, at + 2)).history.at(-1)!
        expect(Date.parse(next.at)).toBeGreaterThanOrEqual(moved!.due.getTime())
        expect(next.number).toBe(at + 2)
      }

      const over = await attempted(id, 5)
      expect(over).toMatchObject({ status: 'failed', attempts: 5, next_retry_at: null, response_code: 500 })
      // A fresh worker finds another due webhook of the same merchant, and only that.
      await restart()
      expectStatus(await system.call(testWebhook, { headers }), 200)
      const other = (await list()).find((webhook) => webhook.id !== id)!
      await attempted(other.id, 1)
      expect(await attempted(id, 5)).toEqual(over)
      expect(endpoint.received.map(({ headers }) => headers['webhook-id'])).toEqual([
        id,
        id,
        id,
        id,
        id,
        other.id,
      ])
    },
    120_000,
  )
})
