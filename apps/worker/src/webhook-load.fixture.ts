// Webhooks under load, for fault tests: a system, merchants with endpoints at one receiver, and each webhook's result.
import { putWebhook, testWebhook } from '@sluice/contracts'
import {
  addMerchant,
  countCompletions,
  createDatabase,
  expectStatus,
  findViolatedInvariants,
  type Keys,
  startReceiver,
  startSystemOn,
  type TestDatabase,
  type TestReceiver,
  type TestSystem,
  waitFor,
} from '@sluice/testing'
import { verify } from '@sluice/webhooks'
import { expect } from 'vitest'

/** The number of attempts that a worker has in flight at once. A crash may send only these twice. */
export const SLOTS = 256

interface Merchant {
  id: string
  keys: Keys
}

/** The time from a fault until its effects are over. */
export interface Crash {
  from: number
  to: number
}

interface LoadOptions {
  /** The server to make a database on, or an existing database. */
  on: string | TestDatabase
  backend?: 'postgresql' | 'redis'
  workers?: number
  merchants?: number
  respond?: (endpoint: string, send: () => void) => void
}

export interface WebhookLoad {
  system: TestSystem
  receiver: TestReceiver
  merchants: readonly Merchant[]
  stop: () => Promise<void>
}

/** Responds late enough for many attempts to be in flight. */
export const afterShortDelay = (_endpoint: string, send: () => void) => setTimeout(send, 30)

/** Starts a system without deliveries, and one receiver with an endpoint for each merchant, named by its id. */
export async function startWebhookLoad(options: LoadOptions): Promise<WebhookLoad> {
  const { backend = 'postgresql', workers = 1, respond = afterShortDelay } = options
  const database = typeof options.on === 'string' ? await createDatabase(options.on) : options.on
  await countCompletions(database)
  await countSuccesses(database)
  const receiver = await startReceiver({ verify, respond })
  // A failed attempt must not delay a test by a minute.
  const env = { WEBHOOK_RETRY_INTERVALS_TEST: 'true' }
  const system = await startSystemOn(database, { backend, workers, env })
  const stop = async () => {
    await system.stop()
    await receiver.close()
  }
  const addEndpoint = async (): Promise<Merchant> => {
    const merchant = await addMerchant(database)
    const body = { webhook_url: receiver.url(merchant.id) }
    const settings = expectStatus(await system.call(putWebhook, { headers: merchant.keys, body }), 200)
    receiver.setSecret(merchant.id, settings.webhook_secret!)
    return merchant
  }
  const merchants: Merchant[] = []
  try {
    while (merchants.length < (options.merchants ?? 10)) merchants.push(await addEndpoint())
  } catch (error) {
    await stop()
    throw error
  }
  return { system, receiver, merchants, stop }
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
export async function writeDeliveries(
  load: WebhookLoad,
  count: number,
  of: readonly Merchant[] = load.merchants,
): Promise<void> {
  await load.system.database.query(
    `INSERT INTO webhook_logs (merchant_id, event, payload, request_id)
     SELECT ($2::uuid[])[1 + n % cardinality($2::uuid[])], 'payment.success',
       format('{"event":"payment.success","timestamp":1705315870,"data":{"payment":{"id":"pay_%s","notes":{"für":"€ %s"}}}}', n, n)::json,
       'req_' || n
     FROM generate_series(1, $1::int) AS n`,
    [count, of.map(({ id }) => id)],
  )
}

/** Publishes through the API, with wake-ups; returns a live count of acknowledged requests. */
export function publishTestWebhooks(
  load: WebhookLoad,
  count: number,
): { acknowledged: () => number; done: Promise<void> } {
  let begun = 0
  let acknowledged = 0
  const publishSome = async () => {
    while (begun < count) {
      const merchant = load.merchants[begun++ % load.merchants.length]!
      const { status } = await load.system.call(testWebhook, { headers: merchant.keys })
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
export const soon = (what: string, check: () => boolean) =>
  waitFor(what, check, { intervalMs: 2, timeoutMs: 60_000 })

export const morePosts = (load: WebhookLoad, more: number) => {
  const target = load.receiver.count() + more
  return soon(`${more} more POSTs`, () => load.receiver.count() >= target)
}

/** Waits until no delivery is open; the error shows some that are. */
export const allSettled = (load: WebhookLoad, timeoutMs: number) =>
  waitFor(
    'no delivery to be open',
    async () => {
      const open = await load.system.database.query(
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

export const readDeliveries = (load: WebhookLoad): Promise<Delivery[]> =>
  load.system.database.query(`
    SELECT w.id, w.status, w.attempt_number AS leased, coalesce(a.recorded, 0)::int AS recorded,
      coalesce(a.successful, 0)::int AS successful, coalesce(s.successes, 0)::int AS successes,
      ARRAY(SELECT error FROM webhook_attempts WHERE delivery_id = w.id AND error IS NOT NULL) AS errors
    FROM webhook_logs w
    LEFT JOIN (SELECT delivery_id, count(*) AS recorded, count(*) FILTER (WHERE response_code = 200) AS successful
               FROM webhook_attempts GROUP BY 1) a ON a.delivery_id = w.id
    LEFT JOIN (SELECT delivery_id, count(*) AS successes FROM successes GROUP BY 1) s ON s.delivery_id = w.id`)

/** Waits until no delivery is open; then each arrived, is a success once, and only crashes caused second POSTs. */
export async function expectAllDelivered(
  load: WebhookLoad,
  atLeast: number,
  {
    crashes = [],
    areVisible = crashes.length > 0,
  }: { crashes?: readonly Crash[]; areVisible?: boolean } = {},
): Promise<void> {
  await allSettled(load, 60_000)
  const deliveries = await readDeliveries(load)
  expect(deliveries.length).toBeGreaterThanOrEqual(atLeast)
  const known = new Set(deliveries.map(({ id }) => id))
  const faults = [
    ...deliveries.flatMap((delivery) =>
      faultsOf(delivery, load.receiver.posts.get(delivery.id) ?? [], crashes),
    ),
    ...[...load.receiver.posts.keys()].filter((id) => !known.has(id)).map((id) => `${id} is not a delivery`),
    ...load.receiver.problems,
  ]
  expect(faults.slice(0, 10)).toEqual([])
  expect(load.receiver.count() - deliveries.length).toBeLessThanOrEqual(SLOTS * crashes.length)
  const unrecorded = deliveries.reduce((sum, { leased, recorded }) => sum + leased - recorded, 0)
  expect(unrecorded).toBeLessThanOrEqual(SLOTS * crashes.length)
  if (areVisible) expect(unrecorded).toBeGreaterThan(0)
  expect(await findViolatedInvariants(load.system.database.url)).toEqual([])
}

function faultsOf(
  delivery: Delivery,
  posts: ReadonlyArray<{ at: number }>,
  crashes: readonly Crash[],
): string[] {
  const { id, status, leased, recorded, successful, errors, successes } = delivery
  const isExcused = (again: number) => {
    const [before, after] = [posts[again - 1]!.at, posts[again]!.at]
    return crashes.some((crash) => before <= crash.to && crash.from <= after)
  }
  const faults = [
    status === 'success' ? '' : `is ${status}`,
    posts.length > 0 ? '' : 'never arrived',
    errors.length === 0 ? '' : `got no response: ${errors}`,
    posts.length <= leased ? '' : `arrived ${posts.length} times, for ${leased} leases`,
    successful === 1 && successes === 1
      ? ''
      : `${successful} successful attempts are recorded, ${successes} changes to success`,
    crashes.length > 0 || recorded === leased ? '' : `${leased - recorded} attempts are not recorded`,
    posts.slice(1).every((_, i) => isExcused(i + 1)) ? '' : 'arrived twice without a crash between',
  ]
  return faults.filter((fault) => fault !== '').map((fault) => `${id} ${fault}`)
}

/** Requests of a killed sender may still be in the receiver's socket buffers. */
const RECEIVED_LATE_MS = 1000

export async function during(what: () => Promise<unknown>): Promise<Crash> {
  const from = Date.now()
  await what()
  return { from, to: Date.now() + RECEIVED_LATE_MS }
}
