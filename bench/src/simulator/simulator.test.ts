// The simulator's own honesty, against a server that misbehaves on purpose: what no working Sluice would show.
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

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = createServer(answer).listen(0, '127.0.0.1')
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
const taken = <B>(body: B): LedgerEntry<B> => ({ body, takenAs: body, takenTimes: 1, acknowledgedTimes: 1 })
const ledgerOf = (...ids: string[]) => new Map(ids.map((id) => [id, taken(transaction(id))]))
const patience = (waitMs = 2000) => ({ waitMs, onProgress: () => {}, signal: new AbortController().signal })
const confirm = (url: string, ledger: Map<string, LedgerEntry<TransactionBody>>, waitMs?: number) =>
  confirmTransactions(url, ledger, patience(waitMs))

test('an acknowledged transaction that is missing, and one that is not as it was sent, are found', async () => {
  const url = await serve((request, response) => {
    const id = request.url?.split('/').pop() ?? ''
    if (id === 'missing') return json(response, 404, { error: { code: 'NOT_FOUND_ERROR', description: '' } })
    const amount = id === 'changed' ? 1 : 150.5
    json(response, 200, { ...transaction(id), ...times, amount, status: 'PROCESSED' })
  })
  const { right, problems, open } = await confirm(url, ledgerOf('right', 'missing', 'changed'))
  expect(problems).toEqual([
    { id: 'missing', problem: 'GET answers 404' },
    { id: 'changed', problem: 'differs in amount from what was sent first' },
  ])
  expect([right, open]).toEqual([1, 0])
})

test('an id that was acknowledged as new twice is found', async () => {
  const url = await serve((_, response) =>
    json(response, 200, { ...transaction('a'), ...times, status: 'PROCESSED' }),
  )
  const ledger = new Map([['a', { ...taken(transaction('a')), takenTimes: 2 }]])
  expect((await confirm(url, ledger)).problems).toEqual([
    { id: 'a', problem: 'was acknowledged 2 times as new' },
  ])
})

test('a transaction that is never processed is given up in the end', async () => {
  const url = await serve((_, response) =>
    json(response, 200, { ...transaction('a'), ...times, status: 'PROCESSING' }),
  )
  expect(await confirm(url, ledgerOf('a'), 300)).toEqual({ right: 0, problems: [], open: 1 })
})

test('a 503 is delivered again, not before Retry-After, and a duplicate is no new transaction', async () => {
  const arrivals: number[] = []
  const url = await serve((_, response) => {
    arrivals.push(performance.now())
    const accepted = { message: 'Accepted', transaction_id: 'a' }
    const unavailable = { error: { code: 'SERVICE_UNAVAILABLE', description: 'later' } }
    if (arrivals.length === 1) json(response, 503, unavailable, { 'retry-after': '1' })
    else json(response, 202, arrivals.length === 2 ? accepted : { ...accepted, duplicate: true })
  })
  const processor = createProcessor(transactionsAt(url))
  const signal = new AbortController().signal
  await processor.send([{ atMs: 0, kind: 'first', body: transaction('a') }], signal)
  await processor.send([{ atMs: 0, kind: 'redelivery', body: transaction('a') }], signal)
  expect(arrivals[1]! - arrivals[0]!).toBeGreaterThanOrEqual(990)
  expect(processor.counts).toMatchObject({
    sent: 3,
    accepted: 2,
    duplicates: 1,
    retried: 1,
    errors: 0,
    inFlight: 0,
  })
  expect(processor.ledger.get('a')).toEqual({ ...taken(transaction('a')), acknowledgedTimes: 2 })
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
const record = ({ payment_id: _, ...said }: PaymentEventRequest): PaymentEventRecord => ({
  ...said,
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

/** Answers these payments, and for each its trail. */
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

test('a payment that is missing, or not what its events make of it, is found', async () => {
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
  const ledger = new Map(events.map((body) => [body.event_id, taken(body)]))
  const { right, problems, open } = await confirmPayments(url, ledger, patience())
  expect(problems.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
    { id: 'unknown', problem: 'GET of its events answers 404' },
    { id: 'unlisted', problem: 'is not in GET /payments' },
    { id: 'wrong', problem: 'status is pending, not completed, events_count is 2, not 1' },
  ])
  expect([right, open]).toEqual([1, 0])
})

test('an acknowledged event that is missing, changed, taken twice or not counted is found', async () => {
  const trailAs = async (entries: LedgerEntry<PaymentEventRequest>[], trail: PaymentEventRecord[]) => {
    const url = await servePayments([{ payment_id: 'p', ...completed, events_count: trail.length }], {
      p: trail,
    })
    const ledger = new Map(entries.map((entry) => [entry.body.event_id, entry]))
    const { problems } = await confirmPayments(url, ledger, patience())
    server?.close()
    return problems.map(({ problem }) => problem)
  }
  const a = event('a', 'p')
  const b = event('b', 'p', 'pending')
  expect(await trailAs([taken(a), taken(b)], [record(a), record(b)])).toEqual([])
  expect(await trailAs([taken(a), taken(b)], [record(a)])).toEqual(['lacks the acknowledged event b'])
  expect(await trailAs([taken(a)], [record({ ...a, amount: 1 })])).toEqual([
    'has a with another amount than was sent first',
  ])
  expect(await trailAs([{ ...taken(a), takenTimes: 2 }], [record(a)])).toEqual(['took a 2 times as new'])
  expect(await trailAs([{ ...taken(a), acknowledgedTimes: 2 }], [record(a)])).toEqual([
    'counts 1 deliveries of a, of which 2 were acknowledged',
  ])
  expect(await trailAs([taken(a)], [record(a), record(a)])).toEqual(['has an event twice'])
})

test('payments that cannot be read are given up in the end', async () => {
  const url = await serve((_, response) =>
    json(response, 503, { error: { code: 'SERVICE_UNAVAILABLE', description: 'later' } }),
  )
  const ledger = new Map([['a', taken(event('a', 'p'))]])
  expect(await confirmPayments(url, ledger, patience(300))).toEqual({ right: 0, problems: [], open: 1 })
})

test('with a secret both kinds are signed, as Sluice checks it', async () => {
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
