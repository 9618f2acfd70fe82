// Every webhook arrives although processes die, and outside a crash each is sent once: the receiver counts.
import {
  findViolatedInvariants,
  queueBackends,
  startPostgres,
  type TestServer,
  volume,
  waitFor,
} from '@sluice/testing'
import { afterEach, describe, expect, inject, test } from 'vitest'
import {
  afterShortDelay,
  allSettled,
  type Crash,
  during,
  expectAllDelivered,
  morePosts,
  publishTestWebhooks,
  readDeliveries,
  SLOTS,
  soon,
  startWebhookLoad,
  type WebhookLoad,
  writeDeliveries,
} from './webhook-load.fixture.ts'

const DELIVERIES = volume(5000, 2500)
/** The number of these that are published through the API. */
const PUBLISHED = volume(400, 200)

let load: WebhookLoad
afterEach(() => load?.stop())

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    test(`workers killed repeatedly under ${DELIVERIES} webhooks: each arrives and is recorded once, and only attempts in flight are sent again`, async () => {
      load = await startWebhookLoad({ on: inject('postgresUrl'), backend })
      await writeDeliveries(load, DELIVERIES - PUBLISHED)
      const publishing = publishTestWebhooks(load, PUBLISHED)
      const crashes: Crash[] = []
      for (let kill = 0; kill < 3; kill++) {
        await morePosts(load, DELIVERIES / 5)
        await soon('attempts to be in flight', () => load.receiver.waiting() >= 8)
        crashes.push(await during(() => load.system.workers.at(-1)!.stop('SIGKILL')))
        await load.system.startWorker()
      }
      await publishing.done
      await expectAllDelivered(load, DELIVERIES - PUBLISHED + publishing.acknowledged(), { crashes })
    })

    test(`two workers at once send each of ${DELIVERIES} webhooks exactly once`, async () => {
      load = await startWebhookLoad({
        on: inject('postgresUrl'),
        backend,
        workers: 2,
        respond: (_endpoint, send) => send(),
      })
      await writeDeliveries(load, DELIVERIES - PUBLISHED)
      const publishing = publishTestWebhooks(load, PUBLISHED)
      await publishing.done
      await expectAllDelivered(load, DELIVERIES - PUBLISHED + publishing.acknowledged())
      expect(load.receiver.count()).toBe((await readDeliveries(load)).length)
      for (const worker of load.system.workers) expect(worker.output()).toContain('"webhook attempt"') // both took part
    })

    test('a worker that gets SIGTERM records the attempts in flight and exits with 0 within its limit; the next one continues', async () => {
      const held: Array<() => void> = []
      let isHolding = true
      load = await startWebhookLoad({
        on: inject('postgresUrl'),
        backend,
        respond: (_endpoint, send) => (isHolding ? held.push(send) : send()),
      })
      await writeDeliveries(load, 2000)
      // Two of each of ten endpoints, which the worker has not tried yet.
      await soon('attempts to be in flight', () => load.receiver.waiting() >= 16)
      const startedAt = Date.now()
      const [worker] = load.system.workers
      const stopped = worker!.stop()
      await soon('the worker to be stopping', () => worker!.output().includes('stopping'))
      isHolding = false
      for (const send of held) send()
      expect(await stopped).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(10_000)
      const after = await readDeliveries(load)
      expect(after.filter(({ leased, recorded }) => leased !== recorded)).toEqual([])
      expect(after.filter(({ status }) => status === 'success').length).toBe(load.receiver.count())
      expect(load.receiver.count()).toBeLessThan(2000)
      await load.system.startWorker()
      await expectAllDelivered(load, 2000)
      expect(load.receiver.count()).toBe(2000)
    })
  })
}

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('Redis', () => {
  test(`emptied, killed and restarted under ${DELIVERIES} webhooks: none is lost and none is sent twice`, async () => {
    load = await startWebhookLoad({
      on: inject('postgresUrl'),
      backend: 'redis',
      respond: (_endpoint, send) => send(),
    })
    const withWakeUps = Math.round(DELIVERIES * 0.4)
    const without = DELIVERIES - withWakeUps
    const publishing = publishTestWebhooks(load, withWakeUps)
    await writeDeliveries(load, without)
    const published = (share: number) =>
      soon(`${share} to be published`, () => publishing.acknowledged() >= withWakeUps * share)
    await published(0.2)
    await load.system.redis!.flush()
    await published(0.4)
    await load.system.redis!.stop()
    await published(0.6)
    await load.system.redis!.start()
    await published(0.8)
    await load.system.redis!.flush()
    await publishing.done
    await expectAllDelivered(load, without + publishing.acknowledged())
    expect(load.receiver.count()).toBe((await readDeliveries(load)).length)
  })
})

test('PostgreSQL restarted, then killed, under webhooks: none is lost, and only unrecorded attempts are sent again', async () => {
  const server: TestServer = await startPostgres()
  load = await startWebhookLoad({ on: server })
  await writeDeliveries(load, DELIVERIES)
  const crashes: Crash[] = []
  for (const end of [server.stop, server.kill]) {
    await morePosts(load, DELIVERIES / 4)
    await soon('attempts to be in flight', () => load.receiver.waiting() >= 8)
    crashes.push(
      await during(async () => {
        await end()
        await server.startAgain()
      }),
    )
  }
  // Recording waits until PostgreSQL is back, so mostly nothing is sent again.
  await expectAllDelivered(load, DELIVERIES, { crashes, areVisible: false })
})

test('a hanging endpoint delays only its own webhooks, and gets them once it responds', async () => {
  const held: Array<() => void> = []
  let isHanging = true
  const hanging = new Set<string>()
  load = await startWebhookLoad({
    on: inject('postgresUrl'),
    respond: (endpoint, send) =>
      isHanging && hanging.has(endpoint) ? held.push(send) : afterShortDelay(endpoint, send),
  })
  const [slow, well] = [load.merchants.slice(0, 3), load.merchants.slice(3)]
  for (const { id } of slow) hanging.add(id)
  await writeDeliveries(load, 300, slow)
  await soon('all three to hang', () => slow.every(({ id }) => load.receiver.waiting(id) > 0))
  await writeDeliveries(load, 1400, well)
  const openOf = async (some: WebhookLoad['merchants']) => {
    const [row] = await load.system.database.query<{ open: number }>(
      'SELECT count(*)::int AS open FROM webhook_logs WHERE settled_at IS NULL AND merchant_id = ANY($1::uuid[])',
      [some.map(({ id }) => id)],
    )
    return row!.open
  }
  await waitFor('the deliveries of the other endpoints', async () => (await openOf(well)) === 0)
  expect(await openOf(slow)).toBe(300)
  expect(slow.map(({ id }) => load.receiver.waiting(id) <= 8)).toEqual([true, true, true])
  isHanging = false
  for (const send of held) send()
  await allSettled(load, 40_000)
  expect((await readDeliveries(load)).filter(({ status }) => status !== 'success')).toEqual([])
  expect(load.receiver.problems).toEqual([])
  expect(await findViolatedInvariants(load.system.database.url)).toEqual([])
})

test('hundreds of hanging endpoints do not hold all slots: endpoints known to respond are served meanwhile', async () => {
  const hanging = new Set<string>()
  load = await startWebhookLoad({
    on: inject('postgresUrl'),
    merchants: 303,
    respond: (endpoint, send) => hanging.has(endpoint) || afterShortDelay(endpoint, send),
  })
  const [known, hangingMerchants] = [load.merchants.slice(0, 3), load.merchants.slice(3)]
  await writeDeliveries(load, 30, known)
  await allSettled(load, 10_000)
  for (const { id } of hangingMerchants) hanging.add(id)
  await writeDeliveries(load, 2 * hangingMerchants.length, hangingMerchants)
  await soon('as many to hang as may', () => load.receiver.waiting() >= SLOTS / 4)
  await writeDeliveries(load, 300, known)
  const open = await waitFor('the deliveries of the known endpoints', async () => {
    const rows = await load.system.database.query<{ merchant_id: string }>(
      'SELECT merchant_id FROM webhook_logs WHERE settled_at IS NULL',
    )
    return known.some(({ id }) => rows.some(({ merchant_id }) => merchant_id === id)) ? undefined : rows
  })
  expect(open).toHaveLength(2 * hangingMerchants.length)
  // No hanging attempt had ended by then, so none of their slots was free in between.
  expect(await load.system.database.query('SELECT FROM webhook_attempts WHERE error IS NOT NULL')).toEqual([])
  expect(load.receiver.problems).toEqual([])
})
