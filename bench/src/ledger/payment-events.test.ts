// Tests of the payment events' ledger with rows that a working Sluice never stores.
import { expect, test } from 'vitest'
import { loadedEvent } from '../payment-events.ts'
import { expectedPayment } from '../payment-model.ts'
import { checkLedger } from './ledger.ts'
import { paymentEventLedger } from './payment-events.ts'

const RUN = 'run00000'
const SENT = 40

type Rows = ReturnType<typeof rightRows>
function rightRows() {
  const events = Array.from({ length: SENT }, (_, n) => ({
    ...loadedEvent('ten payments', RUN, n),
    deliveries: 1,
  }))
  const payments = [...new Set(events.map(({ payment_id }) => payment_id))].map((payment_id) => ({
    payment_id,
    ...expectedPayment(events.filter((event) => event.payment_id === payment_id)),
  }))
  return { events, payments }
}

async function verdict(spoil: (rows: Rows) => unknown, unacknowledged: number[] = []): Promise<string> {
  const rows = rightRows()
  spoil(rows)
  const acknowledged = { run: RUN, sent: SENT, unacknowledged }
  return checkLedger(async () => [rows], paymentEventLedger('ten payments'), acknowledged)
}

test('right rows are ok, with and without the unacknowledged events', async () => {
  expect(await verdict(() => {})).toBe('ok (40 events, 10 payments)')
  expect(await verdict(() => {}, [3, 4])).toBe('ok (40 events, 10 payments)')
})

test.each<[string, (rows: Rows) => unknown, string]>([
  ['a missing event', ({ events }) => events.pop(), '1 ACKNOWLEDGED BUT MISSING'],
  ['an event that is stored twice', ({ events }) => events.push(events[0]!), '1 TWICE'],
  ['a changed event', ({ events }) => (events[0]!.amount += 1), '1 NOT AS SENT'],
  ['an event that was never sent', ({ events }) => (events[0]!.event_id = 'evt_other'), '1 NOT AS SENT'],
  [
    'requests that were not counted',
    ({ events }) => (events[0]!.deliveries = 0),
    '1 WITH A WRONG COUNT OF REQUESTS',
  ],
  ['a wrong state', ({ payments }) => (payments[0]!.status = 'pending'), '1 PAYMENTS WRONG'],
  ['a wrong count of events', ({ payments }) => (payments[0]!.events_count += 1), '1 PAYMENTS WRONG'],
  ['a missing payment', ({ payments }) => payments.pop(), '1 PAYMENTS WRONG'],
])('finds %s', async (_, spoil, finding) => {
  expect(await verdict(spoil)).toContain(finding)
})
