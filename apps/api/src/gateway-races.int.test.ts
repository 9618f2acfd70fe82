// Races for money: 20 concurrent callers of two API processes, with two workers.
import { randomUUID } from 'node:crypto'
import {
  type CallInput,
  capturePayment,
  createClient,
  createOrder,
  createPayment,
  createPublicPayment,
  createRefund,
  getPaymentTimeline,
  type RouteContract,
} from '@sluice/contracts'
import {
  type AppProcess,
  expectStatus,
  SEEDED_MERCHANT_ID,
  seededKeys,
  startSystem,
  type TestSystem,
  untilKnown,
  volume,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const ROUNDS = volume(200, 40)
/** For a race that must show both of its outcomes: with few rounds one of them may be missing by chance. */
const ROUNDS_OF_EITHER = volume(200, 100)
const CALLERS = 20
/** Concurrent races. */
const AT_ONCE = 2
const AMOUNT = 1000
const RACE_TIMEOUT_MS = 400_000
/** For the payments and refunds that the races left to the workers. */
const SETTLE_TIMEOUT_MS = 180_000

let system: TestSystem
/** Two processes, so that memory and locks of one process cannot decide a race. */
let apis: AppProcess[]
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 2, env: { LOG_LEVEL: 'warn' } })
  apis = [system.api, await system.startApi()]
})
afterAll(() => system?.stop())

const callOf = (caller: number) => createClient(apis[caller % apis.length]!.url)
const callers = Array.from({ length: CALLERS }, (_, i) => i)

/** Starts the next race when another one ends. */
async function repeat(race: (round: number) => Promise<void>, rounds = ROUNDS): Promise<void> {
  let next = 0
  const racing = async () => {
    while (next < rounds) await race(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, racing))
}

interface Outcome {
  status: number
  description: string | undefined
}

const outcomeOf = ({ status, body }: { status: number; body: object | null }): Outcome => ({
  status,
  description: (body as { error?: { description: string } } | null)?.error?.description,
})

/** Sends a request with a new key, and repeats it with that key after a 503. */
function insist<R extends RouteContract>(i: number, route: R, input: CallInput<R>) {
  const keyed = { ...input, headers: { ...input.headers, 'idempotency-key': randomUUID() } }
  return untilKnown(() => callOf(i)(route, keyed))
}

const idsOf = (tag: string, count: number) =>
  Array.from({ length: count }, (_, i) => tag.padEnd(12, '0') + String(i).padStart(4, '0'))

/** Inserts open orders, as the API does. */
async function insertOrders(tag: string, count: number): Promise<string[]> {
  const rows = await system.database.query<{ id: string }>(
    `INSERT INTO orders (id, merchant_id, amount)
     SELECT 'order_' || id, $2, $3 FROM unnest($1::text[]) AS id RETURNING id`,
    [idsOf(tag, count), SEEDED_MERCHANT_ID, AMOUNT],
  )
  return rows.map(({ id }) => id)
}

/** Inserts paid orders, each with a successful payment and its log, as the API and the workers do. */
async function insertPaidPayments(tag: string, count: number): Promise<string[]> {
  const ids = idsOf(tag, count)
  const client = await system.database.session()
  const values = [ids, SEEDED_MERCHANT_ID, AMOUNT]
  try {
    await client.query('BEGIN')
    await client.query(
      `INSERT INTO orders (id, merchant_id, amount) SELECT 'order_' || id, $2, $3 FROM unnest($1::text[]) AS id`,
      values,
    )
    await client.query(
      `INSERT INTO payments (id, order_id, merchant_id, amount, method, status, vpa, bank_scenario, request_id,
                             bank_asked_at, bank_answer, enqueued_at, settled_at)
       SELECT 'pay_' || id, 'order_' || id, $2, $3, 'upi', 'success', 'success@test', 'success', 'set-up',
              now(), '{"outcome":"success","settlesInMs":0}', now(), now() FROM unnest($1::text[]) AS id`,
      values,
    )
    await client.query(
      `UPDATE orders SET status = 'paid', claimed_by = 'pay_' || tag
       FROM unnest($1::text[]) AS tag WHERE id = 'order_' || tag`,
      [ids],
    )
    await client.query(
      `INSERT INTO payment_log (payment_id, change, amount, cause, request_id)
       SELECT 'pay_' || id, change, $2, 'set-up', 'set-up'
       FROM unnest($1::text[]) AS id, unnest('{created,bank_asked,success}'::text[]) AS change`,
      [ids, AMOUNT],
    )
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
  return ids.map((id) => `pay_${id}`)
}

test(
  '20 concurrent captures capture a payment once',
  async () => {
    const payments = await insertPaidPayments('capture', ROUNDS)
    await repeat(async (round) => {
      const input = {
        headers: seededKeys,
        params: { payment_id: payments[round]! },
        body: { amount: AMOUNT },
      }
      const responses = await Promise.all(callers.map((i) => insist(i, capturePayment, input)))
      const refused = { status: 400, description: 'Payment not in capturable state' }
      const outcomes = responses.map(outcomeOf).sort((a, b) => a.status - b.status)
      expect(outcomes).toEqual([{ status: 200 }, ...Array(CALLERS - 1).fill(refused)])
      expect(responses.find(({ status }) => status === 200)?.body).toMatchObject({ captured: true })
    })
    const [row] = await system.database.query(
      `SELECT (SELECT count(*)::int FROM payments WHERE id = ANY ($1) AND captured) AS captured,
            (SELECT count(*)::int FROM payment_log WHERE payment_id = ANY ($1) AND change = 'captured') AS logged`,
      [payments],
    )
    expect(row).toEqual({ captured: ROUNDS, logged: ROUNDS })
  },
  RACE_TIMEOUT_MS,
)

test(
  'with concurrent refunds a capture succeeds only before the first refund',
  async () => {
    const payments = await insertPaidPayments('capref', ROUNDS_OF_EITHER)
    let captures = 0
    await repeat(async (round) => {
      const params = { payment_id: payments[round]! }
      const statuses = await Promise.all(
        callers.slice(0, 10).map(async (i) => {
          const isRefund = (i + round) % 3 === 0
          const input = { headers: seededKeys, params, body: { amount: isRefund ? 10 : AMOUNT } }
          const { status } = await insist(i, isRefund ? createRefund : capturePayment, input)
          return `${isRefund ? 'refund' : 'capture'} ${status}`
        }),
      )
      expect(statuses.filter((status) => !/^(refund 201|capture (200|400))$/.test(status))).toEqual([])
      const captured = statuses.filter((status) => status === 'capture 200').length
      expect(captured).toBeLessThanOrEqual(1)
      captures += captured
      const timeline = expectStatus(
        await system.call(getPaymentTimeline, { headers: seededKeys, params }),
        200,
      ).data.map(({ change }) => change)
      const capturedAt = timeline.indexOf('captured')
      expect(capturedAt >= 0).toBe(captured === 1)
      if (captured === 1) expect(timeline.indexOf('refund_created')).toBeGreaterThan(capturedAt)
    }, ROUNDS_OF_EITHER)
    // Both sequences must have happened, or the test proves nothing.
    expect(captures).toBeGreaterThan(0)
    expect(captures).toBeLessThan(ROUNDS_OF_EITHER)
  },
  RACE_TIMEOUT_MS,
)

test(
  'concurrent refunds never exceed the payment, and a refund that fits is accepted',
  async () => {
    const payments = await insertPaidPayments('refund', ROUNDS)
    const accepted = new Map<string, number>()
    await repeat(async (round) => {
      const paymentId = payments[round]!
      const results = await Promise.all(
        callers.map(async (i) => {
          // In every fourth race all refunds are in full; in the others the amounts differ.
          const amount = round % 4 === 0 ? AMOUNT : 40 + ((round * 31 + i * 97) % 400)
          const input = { headers: seededKeys, params: { payment_id: paymentId }, body: { amount } }
          return { amount, response: outcomeOf(await insist(i, createRefund, input)) }
        }),
      )
      const taken = results.filter(({ response }) => response.status === 201)
      const refused = results.filter(({ response }) => response.status !== 201)
      const sum = taken.reduce((total, { amount }) => total + amount, 0)
      expect(sum).toBeLessThanOrEqual(AMOUNT)
      for (const { amount, response } of refused) {
        expect(response).toEqual({ status: 400, description: 'Refund amount exceeds available amount' })
        expect(amount).toBeGreaterThan(AMOUNT - sum)
      }
      accepted.set(paymentId, sum)
    })
    expect(await system.settle(new Set(), SETTLE_TIMEOUT_MS)).toEqual([])
    const rows = await system.database.query<{ id: string; kept: number; sum: number; open: number }>(
      `SELECT p.id, p.refunded_amount::int AS kept, sum(r.amount)::int AS sum,
            count(*) FILTER (WHERE r.status <> 'processed')::int AS open
     FROM payments p JOIN refunds r ON r.payment_id = p.id WHERE p.id = ANY ($1) GROUP BY p.id`,
      [payments],
    )
    expect(rows).toHaveLength(ROUNDS)
    for (const { id, ...row } of rows) {
      const sum = accepted.get(id)
      expect({ id, ...row }).toEqual({ id, kept: sum, sum, open: 0 })
    }
  },
  RACE_TIMEOUT_MS,
)

test(
  'of payments of one order exactly one succeeds, also after failures; later ones never reach the bank',
  async () => {
    const orders = await insertOrders('race', ROUNDS)
    const isPaidAlready = 'order_id must name an unpaid order; this one is already paid'
    await repeat(async (round) => {
      const id = orders[round]!
      await Promise.all(
        callers.map(async (i) => {
          // The failing payments: all but one (these races run longest, so they start first), a third, the first half, none.
          const fails = [i !== round % CALLERS, i % 3 === 0, i < CALLERS / 2, false][
            Math.floor((round * 4) / ROUNDS)
          ]!
          const body = {
            order_id: id,
            method: 'upi' as const,
            vpa: fails ? 'failure@test' : 'success@test',
          }
          const isPayer = i % 5 === 4
          const response = outcomeOf(
            isPayer
              ? await callOf(i)(createPublicPayment, { body })
              : await callOf(i)(createPayment, { headers: seededKeys, body }),
          )
          // A busy machine may respond 503, with an unknown outcome. The database is checked at the end.
          if (response.status !== 201 && response.status !== 503)
            expect(response).toEqual({ status: 400, description: isPaidAlready })
        }),
      )
    })
    expect(await system.settle(new Set(), SETTLE_TIMEOUT_MS)).toEqual([])
    const outcomes = await system.database.query<{ outcome: string; asked: boolean; vpa: string }>(
      `SELECT DISTINCT coalesce(error_code, status) AS outcome, bank_asked_at IS NOT NULL AS asked, vpa
     FROM payments WHERE order_id = ANY ($1) ORDER BY 1, 2, 3`,
      [orders],
    )
    expect(outcomes).toEqual([
      { outcome: 'ORDER_ALREADY_PAID', asked: false, vpa: 'failure@test' },
      { outcome: 'ORDER_ALREADY_PAID', asked: false, vpa: 'success@test' },
      { outcome: 'PAYMENT_FAILED', asked: true, vpa: 'failure@test' },
      { outcome: 'success', asked: true, vpa: 'success@test' },
    ])
    const wrong = await system.database.query(
      `SELECT o.id, o.status, o.claimed_by FROM orders o WHERE o.id = ANY ($1) AND NOT (
       o.status = 'paid' AND (SELECT count(*) FROM payments p WHERE p.order_id = o.id AND p.status = 'success') = 1
       AND o.claimed_by = (SELECT p.id FROM payments p WHERE p.order_id = o.id AND p.status = 'success'))`,
      [orders],
    )
    expect(wrong).toEqual([])
    // Log entries are written under a lock of the order, so their ids are in the order of the changes.
    const together = await system.database.query(
      `WITH visits AS (
       SELECT p.order_id, p.id, min(l.id) FILTER (WHERE change = 'bank_asked') AS began,
              min(l.id) FILTER (WHERE change IN ('success', 'failed')) AS ended
       FROM payments p JOIN payment_log l ON l.payment_id = p.id WHERE p.order_id = ANY ($1) GROUP BY p.id)
     SELECT a.id, b.id AS other FROM visits a JOIN visits b USING (order_id)
     WHERE a.began < b.began AND b.began < a.ended`,
      [orders],
    )
    expect(together, 'payments of one order that were at the bank at the same time').toEqual([])
  },
  RACE_TIMEOUT_MS,
)

describe('concurrent requests with one idempotency key have one effect and get identical bytes', () => {
  interface Race {
    path: string
    body: object
    headers: Record<string, string>
    /** Selects the effects. */
    count: { text: string; value: string }
  }
  /** The other routes share the code, so fewer rounds suffice. */
  const FEWER = volume(40)
  const races: Array<[string, number, (round: number) => Promise<Race>]> = [
    [
      'payments',
      ROUNDS,
      async (round) => {
        const id = orders[0]![round]!
        const body = { order_id: id, method: 'upi', vpa: 'success@test' }
        const count = { text: 'SELECT 1 FROM payments WHERE order_id = $1', value: id }
        return { path: createPayment.url, body, headers: seededKeys, count }
      },
    ],
    [
      'payments of payers',
      FEWER,
      async (round) => {
        const id = orders[1]![round]!
        const body = { order_id: id, method: 'upi', vpa: 'success@test' }
        const count = { text: 'SELECT 1 FROM payments WHERE order_id = $1', value: id }
        return { path: createPublicPayment.url, body, headers: {}, count }
      },
    ],
    [
      'orders',
      FEWER,
      async (round) => {
        const body = { amount: AMOUNT, receipt: `race-${round}` }
        const count = { text: 'SELECT 1 FROM orders WHERE receipt = $1', value: `race-${round}` }
        return { path: createOrder.url, body, headers: seededKeys, count }
      },
    ],
    [
      'refunds',
      FEWER,
      async (round) => {
        const id = keyed[1]![round]!
        const count = { text: 'SELECT 1 FROM refunds WHERE payment_id = $1', value: id }
        return { path: `/api/v1/payments/${id}/refunds`, body: { amount: 10 }, headers: seededKeys, count }
      },
    ],
    [
      'captures',
      FEWER,
      async (round) => {
        const id = keyed[0]![round]!
        const count = {
          text: `SELECT 1 FROM payment_log WHERE payment_id = $1 AND change = 'captured'`,
          value: id,
        }
        return {
          path: `/api/v1/payments/${id}/capture`,
          body: { amount: AMOUNT },
          headers: seededKeys,
          count,
        }
      },
    ],
  ]
  let orders: string[][]
  let keyed: string[][]
  beforeAll(async () => {
    orders = [await insertOrders('keymerchant', ROUNDS), await insertOrders('keypayer', FEWER)]
    keyed = [await insertPaidPayments('keycapture', FEWER), await insertPaidPayments('keyrefund', FEWER)]
  })

  test.each(races)(
    '%s',
    async (name, rounds, prepare) => {
      let refusals = 0
      await repeat(async (round) => {
        const { path, body, headers, count } = await prepare(round)
        let unknown = 0
        const send = async (i: number) => {
          const response = await fetch(apis[i % apis.length]!.url + path, {
            method: 'POST',
            headers: {
              'content-type': 'application/json',
              'idempotency-key': `${name.replaceAll(' ', '-')}-${round}`,
              ...headers,
            },
            body: JSON.stringify(body),
          })
          const bytes = await response.text()
          return { status: response.status, bytes, headers: response.headers }
        }
        const responses = await Promise.all(
          callers.map((i) =>
            // Retries as a client does, after 409 ("later") and 503 ("unknown, send again").
            waitFor(
              `a response for caller ${i}`,
              async () => {
                const response = await send(i)
                if (response.status !== 409 && response.status !== 503) return response
                if (response.status === 409) refusals++
                else unknown++
                const hasRetryAfter = /^[1-9]\d*$/.test(response.headers.get('retry-after') ?? '')
                return hasRetryAfter
                  ? undefined
                  : { ...response, bytes: `${response.status} without Retry-After` }
              },
              // Callers retry at different intervals, because replays of one key block each other.
              { intervalMs: 5 + 3 * i },
            ),
          ),
        )
        const done = path.endsWith('/capture') ? 200 : 201
        expect(new Set(responses.map(({ status, bytes }) => `${status} ${bytes}`)).size).toBe(1)
        expect(responses[0]).toMatchObject({ status: done })
        const replays = responses.filter((response) => response.headers.get('idempotent-replayed') === 'true')
        // A 503 may have replaced the first response.
        if (unknown === 0) expect(replays).toHaveLength(CALLERS - 1)
        else expect(replays.length).toBeGreaterThanOrEqual(CALLERS - 1)
        expect(await system.database.query(count.text, [count.value])).toHaveLength(1)
      }, rounds)
      // Some requests must have met the running first one, or the test proves nothing.
      expect(refusals).toBeGreaterThan(0)
    },
    RACE_TIMEOUT_MS,
  )
})

test(
  'all refunded amounts add up after the races',
  async () => {
    expect(await system.settle(new Set(), SETTLE_TIMEOUT_MS)).toEqual([])
    const wrong = await system.database.query(
      `SELECT p.id FROM payments p
     WHERE p.refunded_amount <> (
       SELECT coalesce(sum(r.amount), 0) FROM refunds r WHERE r.payment_id = p.id AND r.status <> 'failed')`,
    )
    expect(wrong).toEqual([])
  },
  SETTLE_TIMEOUT_MS + 60_000,
)
