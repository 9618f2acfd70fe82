// Payment events through the API: each event counts once, in any order, with duplicates and conflicts.
import {
  createClient,
  type ExternalPayment,
  externalPaymentStatuses,
  getExternalPaymentsSummary,
  listConflicts,
  listExternalPayments,
  listPaymentEvents,
  type PaymentEventRequest,
  postPaymentEvent,
} from '@sluice/contracts'
import { unpackSnapshot } from '@sluice/core'
import {
  type AppProcess,
  findViolatedInvariants,
  paymentEventBody,
  seededRandom,
  shuffled,
  startSystem,
  type TestSystem,
  untilAllKnown,
  untilKnown,
  volume,
  waitFor,
} from '@sluice/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'

let system: TestSystem
/** Two processes, which share no memory. */
let apis: AppProcess[]
beforeAll(async () => {
  system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 1, env: { LOG_LEVEL: 'warn' } })
  apis = [system.api, await system.startApi()]
})
afterAll(() => system?.stop())

let turn = 0
const post = (body: PaymentEventRequest, api = apis[turn++ % 2]!) =>
  createClient(api.url)(postPaymentEvent, { body })
/** Posts an event as a processor does under load: 503 means "unknown, send again". */
async function postEvent(body: PaymentEventRequest) {
  const response = await untilKnown(() => post(body))
  expect(response.status).toBe(202)
  return response
}
/** The id, or a similar one after a 503: then it is unknown whether the first event was stored. */
const another = (id: string, before: number) =>
  before === 0 ? id : [...id].slice(0, 98).join('') + String(before)
const postText = (text: string) =>
  untilKnown(async () => {
    const response = await fetch(`${system.api.url}/webhooks/payment`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: text,
    })
    return { status: response.status, body: (await response.json()) as object }
  })

async function list(query: object = {}): Promise<ExternalPayment[]> {
  const { status, body } = await untilKnown(() => system.call(listExternalPayments, { query }))
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body
}
const paymentOf = async (id: string) => (await list()).find(({ payment_id }) => payment_id === id)

async function trailOf(id: string) {
  const params = { payment_id: id }
  const { status, body } = await untilKnown(() => system.call(listPaymentEvents, { params }))
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body
}
const inRandomOrder = <T>(items: readonly T[]) => shuffled(items, random)
const random = seededRandom('payment events')

test('an older event that arrives later does not change the status: two events, one payment', async () => {
  let ids = { completed: '', pending: '', payment: '' }
  const responses = await untilAllKnown(async (before) => {
    const [completed, pending, payment] = ['evt_7f3a9c2b', 'evt_1a2b3c4d', 'pay_1001'].map((id) =>
      another(id, before),
    ) as [string, string, string]
    ids = { completed, pending, payment }
    return [
      await post(paymentEventBody(completed, payment)),
      await post(paymentEventBody(pending, payment, { event: 'payment.pending', timestamp: 1709999000 })),
    ]
  })
  expect(responses.map(({ status, body }) => ({ status, body }))).toEqual(
    [ids.completed, ids.pending].map((event_id) => ({
      status: 202,
      body: { event_id, payment_id: ids.payment, status: 'completed', duplicate: false },
    })),
  )
  expect(await paymentOf(ids.payment)).toEqual({
    payment_id: ids.payment,
    status: 'completed',
    event: 'payment.completed',
    amount: 25000,
    currency: 'USD',
    user_id: 'user_881',
    refunded_amount: 0,
    timestamp: 1710000000,
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    updated_at: expect.stringMatching(/^\d{4}-.*Z$/),
    events_count: 2,
  })
})

test('updated_at changes exactly when the payment changes', async () => {
  await postEvent(paymentEventBody('evt_u1', 'pay_u', { event: 'payment.failed', timestamp: 100 }))
  const first = (await paymentOf('pay_u'))!
  expect(first.updated_at).toBe(first.created_at)
  await postEvent(paymentEventBody('evt_u2', 'pay_u', { event: 'payment.pending', timestamp: 50 }))
  const late = (await paymentOf('pay_u'))!
  expect(late).toEqual({ ...first, events_count: 2 })
  await postEvent(paymentEventBody('evt_u3', 'pay_u', { event: 'payment.completed', timestamp: 200 }))
  const completed = (await paymentOf('pay_u'))!
  expect(Date.parse(completed.updated_at)).toBeGreaterThan(Date.parse(first.updated_at))
  expect(completed.created_at).toBe(first.created_at)
})

describe('a duplicate event', () => {
  test('changes nothing, is reported as a duplicate, and is counted', async () => {
    let ids = { event_id: '', payment_id: '' }
    let first: ExternalPayment | undefined
    const [, ...again] = await untilAllKnown(async (before) => {
      ids = { event_id: another('evt_r1', before), payment_id: another('pay_r1', before) }
      const body = paymentEventBody(ids.event_id, ids.payment_id)
      const responses = [await post(body)]
      first = await paymentOf(ids.payment_id)
      while (responses.length < 4) responses.push(await post(body))
      return responses
    })
    expect(again.map(({ body }) => body)).toEqual(
      Array(3).fill({ ...ids, status: 'completed', duplicate: true }),
    )
    expect(first).toMatchObject({ events_count: 1 })
    expect(await paymentOf(ids.payment_id)).toEqual(first)
    expect(await trailOf(ids.payment_id)).toMatchObject([{ event_id: ids.event_id, deliveries: 4 }])
  })

  test('gets the current status of the payment', async () => {
    const pending = paymentEventBody('evt_r2', 'pay_r2', { event: 'payment.pending' })
    await postEvent(pending)
    await postEvent(paymentEventBody('evt_r3', 'pay_r2'))
    expect((await postEvent(pending)).body).toMatchObject({ status: 'completed', duplicate: true })
  })

  test('sent 50 times at once creates one row with one effect', async () => {
    for (let round = 0; round < 10; round++) {
      let id = ''
      const responses = await untilAllKnown((before) => {
        id = `50_${round}_${before}`
        const body = paymentEventBody(`evt_${id}`, `pay_${id}`, { event: 'payment.refunded', amount: 10 })
        return Promise.all(Array.from({ length: 50 }, () => post(body)))
      })
      expect(responses.map(({ status }) => status)).toEqual(Array(50).fill(202))
      const duplicates = responses.map(({ body }) => 'duplicate' in body && body.duplicate)
      expect(duplicates.filter((duplicate) => !duplicate)).toHaveLength(1)
      expect(await paymentOf(`pay_${id}`)).toMatchObject({ refunded_amount: 10, events_count: 1 })
      expect(await trailOf(`pay_${id}`)).toMatchObject([{ deliveries: 50 }])
    }
  })

  test('that differs in any contract field is reported as a conflict and listed with its payload', async () => {
    const first = paymentEventBody('evt_c1', 'pay_c1')
    await postEvent(first)
    const changes = {
      payment_id: 'pay_other',
      event: 'payment.failed',
      amount: 1,
      currency: 'EUR',
      user_id: 'x',
      timestamp: 1,
    } as const
    for (const [field, value] of Object.entries(changes)) {
      expect((await postEvent({ ...first, [field]: value })).body).toEqual({
        event_id: 'evt_c1',
        payment_id: 'pay_c1',
        status: 'completed',
        duplicate: true,
        conflict: true,
      })
    }
    const { body } = await system.call(listConflicts, { query: { limit: 100 } })
    const conflicts = 'data' in body ? body.data.filter(({ id }) => id === 'evt_c1') : []
    expect(conflicts.map(({ kind, fields }) => [kind, ...fields]).sort()).toEqual(
      Object.keys(changes)
        .map((field) => ['payment_event', field])
        .sort(),
    )
    expect(conflicts.find(({ fields }) => fields[0] === 'amount')?.payload).toContain('"amount":1,')
    expect(await paymentOf('pay_other')).toBeUndefined()
  })

  test('is no conflict if only order, white space, unknown fields or the spelling of a number differ', async () => {
    await postEvent(paymentEventBody('evt_c2', 'pay_c2'))
    const same = `{ "x":[1], "timestamp":1.71e9,"user_id":"user_881","currency":"USD",\n"amount":25000.0,"event":"payment.completed","payment_id":"pay_c2","event_id":"evt_c2"}`
    const { body } = await postText(same)
    expect(body).toEqual({ event_id: 'evt_c2', payment_id: 'pay_c2', status: 'completed', duplicate: true })
  })
})

test('an event that contradicts its payment is accepted, and listed as a conflict', async () => {
  await postEvent(paymentEventBody('evt_k1', 'pay_k', { amount: 100 }))
  await postEvent(paymentEventBody('evt_k2', 'pay_k', { event: 'payment.refunded', amount: 101 }))
  await postEvent(
    paymentEventBody('evt_k3', 'pay_k', { event: 'payment.pending', user_id: 'y', currency: 'EUR' }),
  )
  const { body } = await system.call(listConflicts, { query: { limit: 100 } })
  const conflicts = 'data' in body ? body.data.filter(({ id }) => id === 'pay_k') : []
  expect(conflicts.map(({ kind, fields, deliveries }) => ({ kind, fields, deliveries }))).toEqual([
    { kind: 'payment', fields: ['currency', 'user_id'], deliveries: 1 },
    { kind: 'payment', fields: ['refunded_amount'], deliveries: 1 },
  ])
  expect(await paymentOf('pay_k')).toMatchObject({ amount: 100, currency: 'USD', refunded_amount: 101 })
  const metrics = await Promise.all(apis.map(({ url }) => fetch(`${url}/metrics`).then((r) => r.text())))
  expect(metrics.join()).toMatch(/sluice_conflicts_total\{kind="payment",field="refunded_amount"\} 1/)
  expect(metrics.join()).toMatch(/sluice_conflicts_total\{kind="payment_event",field="amount"\} [1-9]/)
})

// Runs before the tests that add thousands of payments, since each run checks all payments.
test('the payment depends only on the set of its events, not on order, duplicates or concurrency', async () => {
  let run = 0
  const event = fc.record({
    event: fc.constantFrom(...externalPaymentStatuses.map((status) => `payment.${status}` as const)),
    amount: fc.integer({ min: 0, max: 999_999_999_999 }),
    currency: fc.constantFrom('USD', 'EUR'),
    user_id: fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((id) => !id.includes('\0') && !['.', '..'].includes(id)),
    timestamp: fc.oneof(fc.constantFrom(1, 2), fc.integer({ min: 0, max: 4_102_444_800 })),
  })
  const posts = fc.array(event, { minLength: 1, maxLength: 15 }).chain((events) => {
    const bodies = events.map((fields, n) => ({ n, payment: n % 3, fields }))
    return fc.tuple(
      fc.array(fc.constantFrom(...bodies), { maxLength: 20 }).map((again) => [...bodies, ...again]),
      fc.boolean(),
    )
  })
  await fc.assert(
    fc.asyncProperty(posts, async ([bodies, concurrent]) => {
      const prefix = `p${run++}`
      const sends = inRandomOrder(bodies).map(
        ({ n, payment, fields }) =>
          () =>
            postEvent({ event_id: `${prefix}_${n}_😀`, payment_id: `${prefix}/${payment}`, ...fields }),
      )
      if (concurrent) await Promise.all(sends.map((send) => send()))
      else for (const send of sends) await send()
      expect(await findViolatedInvariants(system.database.url)).toEqual([])
    }),
    { numRuns: volume(60) },
  )
}, 120_000)

const ROUNDS = volume(1000)
test(`20 concurrent events of one payment give the correct final state, in each of ${ROUNDS} rounds`, async () => {
  const AT_ONCE = 10
  const round = async (n: number) => {
    const events = Array.from({ length: 20 }, (_, i) =>
      paymentEventBody(`evt_m${n}_${i}`, `pay_m${n}`, {
        event: `payment.${externalPaymentStatuses[(i + n) % 4]!}`,
        amount: i % 4 === 0 ? 7 : 700,
        timestamp: 1_710_000_000 + ((i * 7) % 10),
      }),
    )
    await Promise.all(inRandomOrder(events).map(postEvent))
  }
  for (let n = 0; n < ROUNDS; n += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, ROUNDS - n) }, (_, i) => round(n + i)))
  }
  const [row] = await system.database.query<{ payments: number; events: number }>(
    `SELECT count(*)::int AS payments, sum(events_count)::int AS events FROM external_payments WHERE payment_id LIKE 'pay_m%'`,
  )
  expect(row).toEqual({ payments: ROUNDS, events: 20 * ROUNDS })
  expect(await findViolatedInvariants(system.database.url)).toEqual([])
}, 180_000)

describe('reading', () => {
  test('read your writes: under load the list contains each payment as soon as its event has a response', async () => {
    let busy = true
    onTestFinished(() => {
      busy = false
    })
    const load = Array.from({ length: 30 }, async (_, i) => {
      for (let n = 0; busy; n++) await postEvent(paymentEventBody(`evt_l${i}_${n}`, `pay_l${i}_${n % 5}`))
    })
    const newest = async () => {
      const { status, body } = await createClient(apis[1]!.url)(listExternalPayments, {
        query: { status: 'failed', limit: 1 },
      })
      if (status !== 200) throw new Error(JSON.stringify(body))
      return body
    }
    for (let n = 0; n < 50; n++) {
      await postEvent(paymentEventBody(`evt_w${n}`, `pay_w${n}`, { event: 'payment.failed' }))
      // A busy machine may respond 503 to a read; every other response has the last write.
      expect(await waitFor('the newest payment', newest)).toMatchObject([{ payment_id: `pay_w${n}` }])
    }
    busy = false
    await Promise.all(load)
  })

  test('the list is newest first, with filters and pages, and the total is in a header', async () => {
    for (let n = 0; n < 5; n++) {
      await postEvent(paymentEventBody(`evt_o${n}`, `pay_o${n}`, { event: 'payment.pending' }))
    }
    const newest = await list({ limit: 3 })
    expect(newest.map(({ payment_id }) => payment_id)).toEqual(['pay_o4', 'pay_o3', 'pay_o2'])
    expect((await list({ limit: 2, offset: 3 })).map(({ payment_id }) => payment_id)).toEqual([
      'pay_o1',
      'pay_o0',
    ])
    const all = await list()
    const times = all.map(({ updated_at }) => updated_at)
    expect(times).toEqual(times.toSorted().reverse())
    for (const status of externalPaymentStatuses) {
      const response = await system.call(listExternalPayments, { query: { status } })
      const [row] = await system.database.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM external_payments WHERE status = '${status}'`,
      )
      expect(response.headers.get('x-total-count')).toBe(String(row!.count))
      expect((response.body as ExternalPayment[]).every((payment) => payment.status === status)).toBe(true)
    }
  })

  test('a page far beyond the end is empty', async () => {
    const query = { limit: 1000, offset: 2 ** 31 - 1 }
    expect((await system.call(listExternalPayments, { query })).body).toEqual([])
    const trail = await system.call(listPaymentEvents, { params: { payment_id: 'pay_1001' }, query })
    expect([trail.status, trail.body]).toEqual([200, []])
  })

  test('all pages together contain each payment once', async () => {
    for (let n = 0; n < 1000; n += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, i) => postEvent(paymentEventBody(`evt_f${n + i}`, `pay_f${n + i}`))),
      )
    }
    const { headers } = await system.call(listExternalPayments, { query: { limit: 1 } })
    const total = Number(headers.get('x-total-count'))
    expect(total).toBeGreaterThan(1000) // more than a page
    const ids = new Set<string>()
    for (let offset = 0; offset < total; offset += 300) {
      for (const { payment_id } of await list({ limit: 300, offset })) ids.add(payment_id)
    }
    expect(ids.size).toBe(total)
    expect(await list()).toHaveLength(1000)
  })

  test('the summary counts all rows by status, and sums them by currency and status', async () => {
    const { body } = await system.call(getExternalPaymentsSummary)
    if (!('counts' in body)) throw new Error(JSON.stringify(body))
    const rows = await system.database.query<{ status: string; count: number }>(
      'SELECT status, count(*)::int AS count FROM external_payments GROUP BY status',
    )
    for (const { status, count } of rows) expect(body.counts).toMatchObject({ [status]: count })
    const usd = body.totals.find(({ currency, status }) => currency === 'USD' && status === 'failed')
    const [expected] = await system.database.query<{ amount: number; count: number }>(
      `SELECT sum(amount)::float8 AS amount, count(*)::int AS count FROM external_payments WHERE status = 'failed' AND currency = 'USD'`,
    )
    expect(usd).toMatchObject(expected!)
    const failed = await system.call(getExternalPaymentsSummary, { query: { status: 'failed' } })
    expect(failed.body).toEqual({
      counts: body.counts,
      totals: body.totals.filter(({ status }) => status === 'failed'),
    })
  })

  test('the trail is in order of arrival, with each event’s outcome, reason and raw body', async () => {
    const text = `{"note":"ä😀", "event_id":"evt_t1","payment_id":"pay/t","event":"payment.completed","amount":5,"currency":"USD","user_id":"u","timestamp":100}`
    await postText(text)
    const later = (id: string, event: PaymentEventRequest['event'], timestamp: number) =>
      postEvent(paymentEventBody(id, 'pay/t', { event, timestamp, amount: 5, user_id: 'u' }))
    await later('evt_t2', 'payment.pending', 50)
    await later('evt_t3', 'payment.failed', 150)
    await later('evt_t4', 'payment.refunded', 160)
    const trail = await trailOf('pay/t')
    expect(trail.map(({ event_id, outcome, reason }) => [event_id, outcome, reason])).toEqual([
      ['evt_t1', 'applied', null],
      ['evt_t2', 'superseded', 'Not newer than the known payment.completed.'],
      ['evt_t3', 'ignored', 'The payment is completed, which this cannot undo.'],
      ['evt_t4', 'applied', null],
    ])
    expect(trail[0]).toEqual({
      event_id: 'evt_t1',
      event: 'payment.completed',
      amount: 5,
      currency: 'USD',
      user_id: 'u',
      timestamp: 100,
      received_at: expect.stringMatching(/^\d{4}-.*Z$/),
      outcome: 'applied',
      reason: null,
      deliveries: 1,
      payload: text,
    })
    const page = await system.call(listPaymentEvents, {
      params: { payment_id: 'pay/t' },
      query: { limit: 1, offset: 2 },
    })
    expect(page.body).toEqual([trail[2]])
    expect(page.headers.get('x-total-count')).toBe('4')
  })

  test.each(['pay_unknown', 'x'.repeat(101), '%', '\u0000'])('an unknown payment is 404: %j', async (id) => {
    const { status, body } = await system.call(listPaymentEvents, { params: { payment_id: id } })
    expect({ status, body }).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND_ERROR' } } })
  })
})

test.each([
  '12345',
  'a:b:c',
  'a b',
  'a/b',
  '100%',
  '%2F',
  '😀'.repeat(100),
  '__proto__',
  'constructor',
  '?x=1#y',
  "'; --",
  '‮rtl',
  'stream',
  'summary',
  '…',
])('the unusual id %j works in every route', async (unusual) => {
  let id = unusual
  const [first, second] = await untilAllKnown(async (before) => {
    id = another(unusual, before)
    const body = { ...paymentEventBody(id, id), user_id: id }
    return [await post(body), await post(body)]
  })
  expect(first).toMatchObject({ status: 202, body: { event_id: id, payment_id: id, duplicate: false } })
  expect(second).toMatchObject({ status: 202, body: { duplicate: true } })
  expect(await paymentOf(id)).toMatchObject({ payment_id: id, user_id: id })
  expect(await trailOf(id)).toMatchObject([{ event_id: id, deliveries: 2 }])
})

const right = paymentEventBody('evt_bad', 'pay_bad')
const missing = Object.keys(right).flatMap(
  (field): Array<[string, object, string]> => [
    [`no ${field}`, { ...right, [field]: undefined }, field],
    [`${field} null`, { ...right, [field]: null }, field],
  ],
)
test.each<[string, object, string]>([
  ...missing,
  ['amount as text', { ...right, amount: '25000' }, 'amount'],
  ['amount with a fraction', { ...right, amount: 0.5 }, 'amount'],
  ['amount below zero', { ...right, amount: -1 }, 'amount'],
  ['amount beyond the limit', { ...right, amount: 1_000_000_000_000 }, 'amount'],
  ['timestamp with a fraction', { ...right, timestamp: 1.5 }, 'timestamp'],
  ['timestamp in milliseconds', { ...right, timestamp: 1_710_000_000_000 }, 'timestamp'],
  ['timestamp below zero', { ...right, timestamp: -1 }, 'timestamp'],
  ['an unknown event', { ...right, event: 'payment.created' }, 'event'],
  ['an event in upper case', { ...right, event: 'PAYMENT.COMPLETED' }, 'event'],
  ['a currency in lower case', { ...right, currency: 'usd' }, 'currency'],
  ['an unknown currency', { ...right, currency: 'ABC' }, 'currency'],
  ['an empty id', { ...right, event_id: '' }, 'event_id'],
  ['a dot as id', { ...right, payment_id: '..' }, 'payment_id'],
  ['NUL in an id', { ...right, user_id: 'a\u0000' }, 'user_id'],
  ['a lone surrogate', { ...right, event_id: '\ud800' }, 'event_id'],
  ['an id of 101 characters', { ...right, payment_id: '😀'.repeat(101) }, 'payment_id'],
])('400, and no row: %s', async (_what, body, field) => {
  const response = await postText(JSON.stringify(body))
  expect(response).toMatchObject({ status: 400, body: { error: { code: 'BAD_REQUEST_ERROR', field } } })
  const [row] = await system.database.query(`SELECT 1 FROM payment_events WHERE event_id = 'evt_bad'`)
  expect(row).toBeUndefined()
})

test('the limits are accepted: amount 0 and the greatest, timestamp 0 and the last', async () => {
  const edges = [
    { amount: 0, timestamp: 0 },
    { amount: 999_999_999_999, timestamp: 4_102_444_800 },
  ]
  for (const [n, edge] of edges.entries()) {
    await postEvent(paymentEventBody(`evt_edge${n}`, `pay_edge${n}`, edge))
    expect(await paymentOf(`pay_edge${n}`)).toMatchObject(edge)
  }
})

test('every event is published once, with the state that its commit stored', async () => {
  expect(await system.settle(new Set(), 60_000)).toEqual([])
  const rows = await system.database.query<{
    ordinal: number
    status_changed: boolean
    payment_snapshot: string
  }>(
    `SELECT ordinal, status_changed, payment_snapshot FROM payment_events WHERE payment_id = 'pay/t' ORDER BY ordinal`,
  )
  const snapshots = rows.map(({ ordinal, payment_snapshot }) =>
    unpackSnapshot('pay/t', ordinal, payment_snapshot),
  )
  expect(rows.map(({ status_changed }) => status_changed)).toEqual([true, false, false, true])
  expect(snapshots.map(({ status, events_count }) => [status, events_count])).toEqual([
    ['completed', 1],
    ['completed', 2],
    ['completed', 3],
    ['refunded', 4],
  ])
  expect(snapshots.at(-1)).toEqual(await paymentOf('pay/t'))
})
