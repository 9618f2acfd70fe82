// Tests that the simulator finds faults, against a server with faults that a working Sluice never has.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PaymentEventRecord, PaymentEventRequest } from '@sluice/contracts'
import { createSignatureCheck } from '@sluice/core'
import { afterEach, expect, test } from 'vitest'
import type { TransactionBody } from '../transactions.ts'
import { confirmPayments } from './confirm-payments.ts'
import { confirmTransactions } from './confirm-transactions.ts'
import { createProcessor, type LedgerEntry, paymentEventsAt, transactionsAt } from './processor.ts'

let server: Server | undefined
afterEach(() => server?.close())

async function serve(respond: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = createServer(respond).listen(0, '127.0.0.1')
  await new Promise((listening) => server?.once('listening', listening))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const json = (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

const transaction = (id: string): TransactionBody => ({
  transaction_id: id,
  source_account: 'acc_user_1',
  destination_account: 'acc_merchant_1',
  amount: 150.5,
  currency: 'INR',
})
const times = { created_at: '2026-01-01T00:00:00.000Z', processed_at: '2026-01-01T00:00:30.000Z' }
const accepted = <B>(body: B): LedgerEntry<B> => ({
  body,
  acceptedAs: body,
  acceptedTimes: 1,
  acknowledgedTimes: 1,
})
const ledgerOf = (...ids: string[]) => new Map(ids.map((id) => [id, accepted(transaction(id))]))
const optionsOf = (waitMs = 2000) => ({ waitMs, onProgress: () => {}, signal: new AbortController().signal })
const confirm = (url: string, ledger: Map<string, LedgerEntry<TransactionBody>>, waitMs?: number) =>
  confirmTransactions(url, ledger, optionsOf(waitMs))

test('the simulator finds an acknowledged transaction that is missing or changed', async () => {
  const url = await serve((request, response) => {
    const id = request.url?.split('/').pop() ?? ''
    if (id === 'missing') return json(response, 404, { error: { code: 'NOT_FOUND_ERROR', description: '' } })
    const amount = id === 'changed' ? 1 : 150.5
    json(response, 200, { ...transaction(id), ...times, amount, status: 'PROCESSED' })
  })
  const { right, problems, open } = await confirm(url, ledgerOf('right', 'missing', 'changed'))
  expect(problems).toEqual([
    { id: 'missing', problem: 'GET responds 404' },
    { id: 'changed', problem: 'differs in amount from what was sent first' },
  ])
  expect([right, open]).toEqual([1, 0])
})

test('the simulator finds an id that was acknowledged as new twice', async () => {
  const url = await serve((_, response) =>
    json(response, 200, { ...transaction('a'), ...times, status: 'PROCESSED' }),
  )
  const ledger = new Map([['a', { ...accepted(transaction('a')), acceptedTimes: 2 }]])
  expect((await confirm(url, ledger)).problems).toEqual([
    { id: 'a', problem: 'was acknowledged 2 times as new' },
  ])
})

test('a transaction that is never processed ends as open', async () => {
  const url = await serve((_, response) =>
    json(response, 200, { ...transaction('a'), ...times, status: 'PROCESSING' }),
  )
  expect(await confirm(url, ledgerOf('a'), 300)).toEqual({ right: 0, problems: [], open: 1 })
})

test('a request is retried after a 503, not before Retry-After, and a duplicate is no new transaction', async () => {
  const arrivals: number[] = []
  const url = await serve((_, response) => {
    arrivals.push(performance.now())
    const body = { message: 'Accepted', transaction_id: 'a' }
    const unavailable = { error: { code: 'SERVICE_UNAVAILABLE', description: 'later' } }
    if (arrivals.length === 1) json(response, 503, unavailable, { 'retry-after': '1' })
    else json(response, 202, arrivals.length === 2 ? body : { ...body, duplicate: true })
  })
  const processor = createProcessor(transactionsAt(url))
  const signal = new AbortController().signal
  await processor.send([{ atMs: 0, kind: 'first', body: transaction('a') }], signal)
  await processor.send([{ atMs: 0, kind: 'duplicate', body: transaction('a') }], signal)
  expect(arrivals[1]! - arrivals[0]!).toBeGreaterThanOrEqual(990)
  expect(processor.counts).toMatchObject({
    sent: 3,
    accepted: 2,
    duplicates: 1,
    retried: 1,
    errors: 0,
    inFlight: 0,
  })
  expect(processor.ledger.get('a')).toEqual({ ...accepted(transaction('a')), acknowledgedTimes: 2 })
})

const event = (id: string, payment: string, name = 'completed', amount = 500): PaymentEventRequest => ({
  event_id: id,
  payment_id: payment,
  event: `payment.${name}` as PaymentEventRequest['event'],
  amount,
  currency: 'USD',
  user_id: 'user_1',
  timestamp: 1_710_000_000,
})
const record = ({ payment_id: _, ...fields }: PaymentEventRequest): PaymentEventRecord => ({
  ...fields,
  received_at: times.created_at,
  outcome: 'applied',
  reason: null,
  deliveries: 1,
  payload: null,
})
const completed = {
  status: 'completed',
  event: 'payment.completed',
  amount: 500,
  currency: 'USD',
  user_id: 'user_1',
  refunded_amount: 0,
  timestamp: 1_710_000_000,
  created_at: times.created_at,
  updated_at: times.created_at,
  events_count: 1,
}

/** Serves these payments, and the trail of each. */
const servePayments = (payments: object[], trails: Record<string, PaymentEventRecord[]>) =>
  serve((request, response) => {
    const id = /^\/payments\/(\w+)\/events/.exec(request.url ?? '')?.[1]
    if (id === undefined) return json(response, 200, payments)
    json(
      response,
      trails[id] ? 200 : 404,
      trails[id] ?? { error: { code: 'NOT_FOUND_ERROR', description: '' } },
    )
  })

test('the simulator finds a payment that is missing, or not what its events make of it', async () => {
  const events = ['right', 'unlisted', 'unknown', 'wrong'].map((id) => event(`evt_${id}`, id))
  const trails = Object.fromEntries(
    events.filter((e) => e.payment_id !== 'unknown').map((e) => [e.payment_id, [record(e)]]),
  )
  const url = await servePayments(
    [
      { payment_id: 'right', ...completed },
      { payment_id: 'wrong', ...completed, status: 'pending', events_count: 2 },
    ],
    trails,
  )
  const ledger = new Map(events.map((body) => [body.event_id, accepted(body)]))
  const { right, problems, open } = await confirmPayments(url, ledger, optionsOf())
  expect(problems.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
    { id: 'unknown', problem: 'GET of its events responds 404' },
    { id: 'unlisted', problem: 'is not in GET /payments' },
    { id: 'wrong', problem: 'status is pending, not completed, events_count is 2, not 1' },
  ])
  expect([right, open]).toEqual([1, 0])
})

test('the simulator finds an acknowledged event that is missing, changed, accepted twice or not counted', async () => {
  const trailAs = async (entries: LedgerEntry<PaymentEventRequest>[], trail: PaymentEventRecord[]) => {
    const url = await servePayments([{ payment_id: 'p', ...completed, events_count: trail.length }], {
      p: trail,
    })
    const ledger = new Map(entries.map((entry) => [entry.body.event_id, entry]))
    const { problems } = await confirmPayments(url, ledger, optionsOf())
    server?.close()
    return problems.map(({ problem }) => problem)
  }
  const a = event('a', 'p')
  const b = event('b', 'p', 'pending')
  expect(await trailAs([accepted(a), accepted(b)], [record(a), record(b)])).toEqual([])
  expect(await trailAs([accepted(a), accepted(b)], [record(a)])).toEqual(['lacks the acknowledged event b'])
  expect(await trailAs([accepted(a)], [record({ ...a, amount: 1 })])).toEqual([
    'has a with another amount than was sent first',
  ])
  expect(await trailAs([{ ...accepted(a), acceptedTimes: 2 }], [record(a)])).toEqual([
    'accepted a 2 times as new',
  ])
  expect(await trailAs([{ ...accepted(a), acknowledgedTimes: 2 }], [record(a)])).toEqual([
    'counts 1 requests of a, of which 2 were acknowledged',
  ])
  expect(await trailAs([accepted(a)], [record(a), record(a)])).toEqual(['has an event twice'])
})

test('payments that cannot be read end as open', async () => {
  const url = await serve((_, response) =>
    json(response, 503, { error: { code: 'SERVICE_UNAVAILABLE', description: 'later' } }),
  )
  const ledger = new Map([['a', accepted(event('a', 'p'))]])
  expect(await confirmPayments(url, ledger, optionsOf(300))).toEqual({ right: 0, problems: [], open: 1 })
})

test('with a secret the simulator signs both kinds, and Sluice accepts the signatures', async () => {
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  const check = createSignatureCheck([secret])
  const problems: (string | undefined)[] = []
  const url = await serve(async (request, response) => {
    const body = Buffer.concat(await request.toArray())
    problems.push(check.problem(request.headers, body, Date.now()))
    json(response, 202, { duplicate: false })
  })
  const signal = new AbortController().signal
  const first = { atMs: 0, kind: 'first' } as const
  await createProcessor(transactionsAt(url), secret).send([{ ...first, body: transaction('a') }], signal)
  await createProcessor(paymentEventsAt(url), secret).send([{ ...first, body: event('b', 'p') }], signal)
  await createProcessor(transactionsAt(url)).send([{ ...first, body: transaction('c') }], signal)
  expect(problems).toEqual([undefined, undefined, expect.stringContaining('webhook-id')])
})
