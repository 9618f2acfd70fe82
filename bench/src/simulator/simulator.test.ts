// The simulator's own honesty, against a server that misbehaves on purpose: what no working Sluice would show.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { TransactionBody } from '../transactions.ts'
import { confirmProcessed } from './confirm.ts'
import { createProcessor, type LedgerEntry } from './processor.ts'

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
const ledgerOf = (...ids: string[]) =>
  new Map<string, LedgerEntry>(ids.map((id) => [id, { takenAs: transaction(id), takenTimes: 1 }]))
const confirm = (url: string, ledger: Map<string, LedgerEntry>, waitMs = 2000) =>
  confirmProcessed(url, ledger, waitMs, () => {}, new AbortController().signal)

test('an acknowledged transaction that is missing, and one that is not as it was sent, are found', async () => {
  const url = await serve((request, response) => {
    const id = request.url?.split('/').pop() ?? ''
    if (id === 'missing') return json(response, 404, { error: { code: 'NOT_FOUND_ERROR', description: '' } })
    const amount = id === 'changed' ? 1 : 150.5
    json(response, 200, { ...transaction(id), ...times, amount, status: 'PROCESSED' })
  })
  const { processed, problems, unprocessed } = await confirm(url, ledgerOf('right', 'missing', 'changed'))
  expect(problems).toEqual([
    { id: 'missing', problem: 'GET answers 404' },
    { id: 'changed', problem: 'differs in amount from what was sent first' },
  ])
  expect([processed, unprocessed]).toEqual([1, 0])
})

test('an id that was acknowledged as new twice is found', async () => {
  const url = await serve((_, response) =>
    json(response, 200, { ...transaction('a'), ...times, status: 'PROCESSED' }),
  )
  const ledger = new Map([['a', { takenAs: transaction('a'), takenTimes: 2 }]])
  expect((await confirm(url, ledger)).problems).toEqual([
    { id: 'a', problem: 'was acknowledged 2 times as new' },
  ])
})

test('a transaction that is never processed is given up in the end', async () => {
  const url = await serve((_, response) =>
    json(response, 200, { ...transaction('a'), ...times, status: 'PROCESSING' }),
  )
  expect(await confirm(url, ledgerOf('a'), 300)).toEqual({ processed: 0, problems: [], unprocessed: 1 })
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
  const processor = createProcessor(url)
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
  expect(processor.ledger.get('a')).toEqual({ takenAs: transaction('a'), takenTimes: 1 })
})
