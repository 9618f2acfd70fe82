// Every webhook arrives although processes die, and outside a crash each is sent once: the receiver counts.
import { putWebhook, testWebhook } from '@sluice/contracts'
import {
  addMerchant,
  countEndings,
  createDatabase,
  expectStatus,
  findBroken,
  type Keys,
  queueBackends,
  startPostgres,
  startReceiver,
  startSystemOn,
  type TestDatabase,
  type TestReceiver,
  type TestServer,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import { afterEach, describe, expect, inject, test } from 'vitest'

const DELIVERIES = 5000
/** The attempts of a worker in flight at once: only these may a crash send twice. */
const SLOTS = 256

let system: TestSystem
let receiver: TestReceiver
let merchants: Merchant[]
const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

interface Merchant {
  id: string
  keys: Keys
}

/** The time from a fault until its effects are over. */
interface Crash {
  from: number
  to: number
}

interface StartOptions {
  backend?: 'postgresql' | 'redis'
  workers?: number
  merchants?: number
  database?: TestDatabase
  answer?: (endpoint: string, respond: () => void) => void
}

/** Responds late enough for many attempts to be in flight. */
const afterShortDelay = (_endpoint: string, respond: () => void) => setTimeout(respond, 30)

/** Starts a system without deliveries, and one receiver with an endpoint for each merchant, named by its id. */
async function start(options: StartOptions): Promise<void> {
  const { backend = 'postgresql', workers = 1, answer = afterShortDelay } = options
  const database = options.database ?? (await createDatabase(inject('postgresUrl')))
  await countEndings(database)
  await countSuccesses(database)
  receiver = await startReceiver({ verify, answer })
  stops.push(receiver.close)
  // A failed attempt must not delay a test by a minute.
  const env = { WEBHOOK_RETRY_INTERVALS_TEST: 'true' }
  system = await startSystemOn(database, { backend, workers, env })
  stops.push(system.stop)
  merchants = []
  for (let i = 0; i < (options.merchants ?? 10); i++) {
    const merchant = await addMerchant(database)
    const body = { webhook_url: receiver.url(merchant.id) }
    const settings = expectStatus(await system.call(putWebhook, { headers: merchant.keys, body }), 200)
    receiver.trust(merchant.id, settings.webhook_secret!)
    merchants.push(merchant)
  }
}

/** Makes the database count how often a delivery is recorded as a success. */
async function countSuccesses(database: TestDatabase): Promise<void> {
  await database.query('CREATE TABLE successes (delivery_id uuid NOT NULL)')
  await database.query(`
    CREATE FUNCTION count_success() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO successes VALUES (new.id);
      RETURN NULL;
    END $$`)
  await database.query(`
    CREATE TRIGGER count_successes AFTER UPDATE OF status ON webhook_logs
    FOR EACH ROW WHEN (new.status = 'success') EXECUTE FUNCTION count_success()`)
}

/** Writes deliveries for each merchant in turn, as if published, without wake-ups. */
async function writeDeliveries(count: number, of: readonly Merchant[] = merchants): Promise<void> {
  await system.database.query(
    `INSERT INTO webhook_logs (merchant_id, event, payload, request_id)
     SELECT ($2::uuid[])[1 + n % cardinality($2::uuid[])], 'payment.success',
       format('{"event":"payment.success","timestamp":1705315870,"data":{"payment":{"id":"pay_%s","notes":{"für":"€ %s"}}}}', n, n)::json,
       'req_' || n
     FROM generate_series(1, $1::int) AS n`,
    [count, of.map(({ id }) => id)],
  )
}

/** Publishes through the API, with wake-ups; returns a live count of acknowledged requests. */
function publish(count: number): { acknowledged: () => number; done: Promise<void> } {
  let begun = 0
  let acknowledged = 0
  const publishSome = async () => {
    while (begun < count) {
      const merchant = merchants[begun++ % merchants.length]!
      const { status } = await system.call(testWebhook, { headers: merchant.keys })
      // A slow disk may cause a 503; then it is unknown whether the webhook was published.
      expect([200, 503]).toContain(status)
      if (status === 200) acknowledged++
    }
  }
  const done = Promise.all(Array.from({ length: 8 }, publishSome)).then(() => {
    expect(acknowledged).toBeGreaterThan(count * 0.98)
  })
  done.catch(() => {}) // the awaiting test gets the error
  return { acknowledged: () => acknowledged, done }
}

/** Waits for something that changes fast. */
const soon = (what: string, check: () => boolean) =>
  waitFor(what, check, { intervalMs: 2, timeoutMs: 60_000 })

const morePosts = (more: number) => {
  const target = receiver.count() + more
  return soon(`${more} more POSTs`, () => receiver.count() >= target)
}

/** Waits until no delivery is open; the error shows some that are. */
const allSettled = (timeoutMs: number) =>
  waitFor(
    'nothing to be open',
    async () => {
      const open = await system.database.query(
        `SELECT id, attempts, attempt_number, claimed_until, next_retry_at, response_code, now(),
           ARRAY(SELECT error FROM webhook_attempts WHERE delivery_id = id ORDER BY number) AS errors
         FROM webhook_logs WHERE settled_at IS NULL LIMIT 3`,
      )
      if (open.length > 0) throw new Error(`open: ${JSON.stringify(open)}`)
      return true
    },
    { timeoutMs, intervalMs: 200 },
  )

interface Delivery {
  id: string
  status: string
  /** Attempts that were leased, that are recorded, that are recorded with a 200. */
  leased: number
  recorded: number
  successful: number
  /** The errors of attempts without a response. */
  errors: string[]
  successes: number
}

const readDeliveries = (): Promise<Delivery[]> =>
  system.database.query(`
    SELECT w.id, w.status, w.attempt_number AS leased, coalesce(a.recorded, 0)::int AS recorded,
      coalesce(a.successful, 0)::int AS successful, coalesce(s.successes, 0)::int AS successes,
      ARRAY(SELECT error FROM webhook_attempts WHERE delivery_id = w.id AND error IS NOT NULL) AS errors
    FROM webhook_logs w
    LEFT JOIN (SELECT delivery_id, count(*) AS recorded, count(*) FILTER (WHERE response_code = 200) AS successful
               FROM webhook_attempts GROUP BY 1) a ON a.delivery_id = w.id
    LEFT JOIN (SELECT delivery_id, count(*) AS successes FROM successes GROUP BY 1) s ON s.delivery_id = w.id`)

/** Waits until no delivery is open; then each arrived, is a success once, and only crashes caused second POSTs. */
async function expectAllDelivered(
  atLeast: number,
  {
    crashes = [],
    areVisible = crashes.length > 0,
  }: { crashes?: readonly Crash[]; areVisible?: boolean } = {},
): Promise<void> {
  await allSettled(60_000)
  const deliveries = await readDeliveries()
  expect(deliveries.length).toBeGreaterThanOrEqual(atLeast)
  const known = new Set(deliveries.map(({ id }) => id))
  const faults = [
    ...deliveries.flatMap((delivery) => faultsOf(delivery, crashes)),
    ...[...receiver.posts.keys()].filter((id) => !known.has(id)).map((id) => `${id} is not a delivery`),
    ...receiver.problems,
  ]
  expect(faults.slice(0, 10)).toEqual([])
  expect(receiver.count() - deliveries.length).toBeLessThanOrEqual(SLOTS * crashes.length)
  const unrecorded = deliveries.reduce((sum, { leased, recorded }) => sum + leased - recorded, 0)
  expect(unrecorded).toBeLessThanOrEqual(SLOTS * crashes.length)
  if (areVisible) expect(unrecorded).toBeGreaterThan(0)
  expect(await findBroken(system.database.url)).toEqual([])
}

function faultsOf(delivery: Delivery, crashes: readonly Crash[]): string[] {
  const { id, status, leased, recorded, successful, errors, successes } = delivery
  const posts = receiver.posts.get(id) ?? []
  const isExcused = (again: number) => {
    const [before, after] = [posts[again - 1]!.at, posts[again]!.at]
    return crashes.some((crash) => before <= crash.to && crash.from <= after)
  }
  const faults = [
    status === 'success' ? '' : `is ${status}`,
    posts.length > 0 ? '' : 'never came',
    errors.length === 0 ? '' : `got no response: ${errors}`,
    posts.length <= leased ? '' : `came ${posts.length} times, for ${leased} leases`,
    successful === 1 && successes === 1
      ? ''
      : `${successful} successful attempts are recorded, ${successes} changes to success`,
    crashes.length > 0 || recorded === leased ? '' : `${leased - recorded} attempts are not recorded`,
    posts.slice(1).every((_, i) => isExcused(i + 1)) ? '' : 'came twice without a crash between',
  ]
  return faults.filter((fault) => fault !== '').map((fault) => `${id} ${fault}`)
}

/** Requests of a dead sender may still lie in the receiver's sockets. */
const RECEIVED_LATE_MS = 1000

async function during(what: () => Promise<unknown>): Promise<Crash> {
  const from = Date.now()
  await what()
  return { from, to: Date.now() + RECEIVED_LATE_MS }
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    test(`workers killed repeatedly under ${DELIVERIES} webhooks: each arrives and is recorded once, and only attempts in flight are sent again`, async () => {
      await start({ backend })
      await writeDeliveries(DELIVERIES - 400)
      const publishing = publish(400)
      const crashes: Crash[] = []
      for (let kill = 0; kill < 3; kill++) {
        await morePosts(1000)
        await soon('attempts to be in flight', () => receiver.waiting() >= 8)
        crashes.push(await during(() => system.workers.at(-1)!.stop('SIGKILL')))
        await system.startWorker()
      }
      await publishing.done
      await expectAllDelivered(DELIVERIES - 400 + publishing.acknowledged(), { crashes })
    })

    test(`two workers at once send each of ${DELIVERIES} webhooks exactly once`, async () => {
      await start({ backend, workers: 2, answer: (_endpoint, respond) => respond() })
      await writeDeliveries(DELIVERIES - 400)
      const publishing = publish(400)
      await publishing.done
      await expectAllDelivered(DELIVERIES - 400 + publishing.acknowledged())
      expect(receiver.count()).toBe((await readDeliveries()).length)
      for (const worker of system.workers) expect(worker.output()).toContain('"webhook attempt"') // both took part
    })

    test('a worker that gets SIGTERM records the attempts in flight and exits with 0 within its limit; the next one continues', async () => {
      const held: Array<() => void> = []
      let isHolding = true
      await start({
        backend,
        answer: (_endpoint, respond) => (isHolding ? held.push(respond) : respond()),
      })
      await writeDeliveries(2000)
      // Two of each of ten endpoints, which the worker has not tried yet.
      await soon('attempts to be in flight', () => receiver.waiting() >= 16)
      const startedAt = Date.now()
      const [worker] = system.workers
      const stopped = worker!.stop()
      await soon('the worker to be stopping', () => worker!.output().includes('stopping'))
      isHolding = false
      for (const respond of held) respond()
      expect(await stopped).toEqual({ code: 0, signal: null })
      expect(Date.now() - startedAt).toBeLessThan(10_000)
      const after = await readDeliveries()
      expect(after.filter(({ leased, recorded }) => leased !== recorded)).toEqual([])
      expect(after.filter(({ status }) => status === 'success').length).toBe(receiver.count())
      expect(receiver.count()).toBeLessThan(2000)
      await system.startWorker()
      await expectAllDelivered(2000)
      expect(receiver.count()).toBe(2000)
    })
  })
}

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('Redis', () => {
  test(`emptied, killed and restarted under ${DELIVERIES} webhooks: none is lost and none is sent twice`, async () => {
    await start({ backend: 'redis', answer: (_endpoint, respond) => respond() })
    const [withWakeUps, without] = [2000, DELIVERIES - 2000]
    const publishing = publish(withWakeUps)
    await writeDeliveries(without)
    const published = (share: number) =>
      soon(`${share} to be published`, () => publishing.acknowledged() >= withWakeUps * share)
    await published(0.2)
    await system.redis!.flush()
    await published(0.4)
    await system.redis!.stop()
    await published(0.6)
    await system.redis!.start()
    await published(0.8)
    await system.redis!.flush()
    await publishing.done
    await expectAllDelivered(without + publishing.acknowledged())
    expect(receiver.count()).toBe((await readDeliveries()).length)
  })
})

test('PostgreSQL restarted, then killed, under webhooks: none is lost, and only unrecorded attempts are sent again', async () => {
  const server: TestServer = await startPostgres()
  await start({ database: server })
  await writeDeliveries(DELIVERIES)
  const crashes: Crash[] = []
  for (const end of [server.stop, server.kill]) {
    await morePosts(1200)
    await soon('attempts to be in flight', () => receiver.waiting() >= 8)
    crashes.push(
      await during(async () => {
        await end()
        await server.startAgain()
      }),
    )
  }
  // Recording waits until PostgreSQL is back, so mostly nothing is sent again.
  await expectAllDelivered(DELIVERIES, { crashes, areVisible: false })
})

test('a hanging endpoint delays only its own webhooks, and gets them once it responds', async () => {
  const held: Array<() => void> = []
  let isHanging = true
  const hanging = new Set<string>()
  await start({
    answer: (endpoint, respond) =>
      isHanging && hanging.has(endpoint) ? held.push(respond) : afterShortDelay(endpoint, respond),
  })
  const [slow, well] = [merchants.slice(0, 3), merchants.slice(3)]
  for (const { id } of slow) hanging.add(id)
  await writeDeliveries(300, slow)
  await soon('all three to hang', () => slow.every(({ id }) => receiver.waiting(id) > 0))
  await writeDeliveries(1400, well)
  const openOf = async (some: readonly Merchant[]) => {
    const [row] = await system.database.query<{ open: number }>(
      'SELECT count(*)::int AS open FROM webhook_logs WHERE settled_at IS NULL AND merchant_id = ANY($1::uuid[])',
      [some.map(({ id }) => id)],
    )
    return row!.open
  }
  await waitFor('the others to be done', async () => (await openOf(well)) === 0)
  expect(await openOf(slow)).toBe(300)
  expect(slow.map(({ id }) => receiver.waiting(id) <= 8)).toEqual([true, true, true])
  isHanging = false
  for (const respond of held) respond()
  await allSettled(40_000)
  expect((await readDeliveries()).filter(({ status }) => status !== 'success')).toEqual([])
  expect(receiver.problems).toEqual([])
  expect(await findBroken(system.database.url)).toEqual([])
})

test('hundreds of hanging endpoints do not hold all slots: endpoints known to respond are served meanwhile', async () => {
  const hanging = new Set<string>()
  await start({
    merchants: 303,
    answer: (endpoint, respond) => hanging.has(endpoint) || afterShortDelay(endpoint, respond),
  })
  const [known, silent] = [merchants.slice(0, 3), merchants.slice(3)]
  await writeDeliveries(30, known)
  await allSettled(10_000)
  for (const { id } of silent) hanging.add(id)
  await writeDeliveries(2 * silent.length, silent)
  await soon('as many to hang as may', () => receiver.waiting() >= SLOTS / 4)
  await writeDeliveries(300, known)
  const open = await waitFor('the known ones to be served', async () => {
    const rows = await system.database.query<{ merchant_id: string }>(
      'SELECT merchant_id FROM webhook_logs WHERE settled_at IS NULL',
    )
    return known.some(({ id }) => rows.some(({ merchant_id }) => merchant_id === id)) ? undefined : rows
  })
  expect(open).toHaveLength(2 * silent.length)
  // No hanging attempt had ended by then, so none of their slots was free in between.
  expect(await system.database.query('SELECT FROM webhook_attempts WHERE error IS NOT NULL')).toEqual([])
  expect(receiver.problems).toEqual([])
})
