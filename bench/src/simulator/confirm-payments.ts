// Each acknowledged payment event is in its payment's trail, as it was sent, and the payment is what the model makes of
// the trail.
import {
  createClient,
  type ExternalPayment,
  listExternalPayments,
  listPaymentEvents,
  type PaymentEventRecord,
  type PaymentEventRequest,
} from '@sluice/contracts'
import { differences, expectedPayment } from '../payment-model.ts'
import { type Confirmation, confirmAll, type Patience, tellingAnswer, type Verdict } from './confirm.ts'
import type { LedgerEntry } from './processor.ts'

const PAGE = 1000

type Entry = LedgerEntry<PaymentEventRequest>

/** By payment id. To be asked when nothing is sent any more. */
export function confirmPayments(
  url: string,
  ledger: ReadonlyMap<string, Entry>,
  patience: Patience,
): Promise<Confirmation> {
  const call = createClient(url)
  const acknowledged = new Map<string, Entry[]>()
  for (const entry of ledger.values()) {
    const { payment_id } = entry.body
    acknowledged.set(payment_id, [...(acknowledged.get(payment_id) ?? []), entry])
  }

  /** Ours are the ones that changed last: pages are read until all have been seen. Undefined when there is no answer. */
  async function readList(): Promise<ReadonlyMap<string, ExternalPayment> | undefined> {
    const found = new Map<string, ExternalPayment>()
    for (let offset = 0; found.size < acknowledged.size; offset += PAGE) {
      const answer = await tellingAnswer(call(listExternalPayments, { query: { limit: PAGE, offset } }))
      if (answer === undefined) return undefined
      if (answer.status !== 200) throw new Error(`GET ${listExternalPayments.url} answers ${answer.status}`)
      for (const payment of answer.body)
        if (acknowledged.has(payment.payment_id)) found.set(payment.payment_id, payment)
      if (answer.body.length < PAGE) break
    }
    return found
  }
  let reading: ReturnType<typeof readList> | undefined

  async function check(id: string): Promise<Verdict> {
    reading ??= readList()
    const list = await reading
    if (list === undefined) {
      reading = undefined
      return 'open'
    }
    const trail = await tellingAnswer(
      call(listPaymentEvents, { params: { payment_id: id }, query: { limit: PAGE } }),
    )
    if (trail === undefined) return 'open'
    if (trail.status !== 200) return { problem: `GET of its events answers ${trail.status}` }
    const problem =
      trailProblem(acknowledged.get(id)!, trail.body) ?? paymentProblem(list.get(id), trail.body)
    return problem === undefined ? 'right' : { problem }
  }

  return confirmAll([...acknowledged.keys()], check, patience)
}

/** Events that nobody acknowledged may be in the trail or not: both are right. */
function trailProblem(entries: readonly Entry[], trail: readonly PaymentEventRecord[]): string | undefined {
  const byId = new Map(trail.map((record) => [record.event_id, record]))
  if (byId.size < trail.length) return 'has an event twice'
  for (const { body, takenAs, takenTimes, acknowledgedTimes } of entries) {
    const record = byId.get(body.event_id)
    if (record === undefined) return `lacks the acknowledged event ${body.event_id}`
    if (takenTimes > 1) return `took ${body.event_id} ${takenTimes} times as new`
    if (record.deliveries < acknowledgedTimes)
      return `counts ${record.deliveries} deliveries of ${body.event_id}, of which ${acknowledgedTimes} were acknowledged`
    if (takenAs === undefined) continue // the answer that took it was lost on the way
    const { payment_id: _, ...sent } = takenAs
    const fields = Object.keys(sent) as (keyof typeof sent)[]
    const wrong = fields.filter((field) => sent[field] !== record[field])
    if (wrong.length > 0) return `has ${body.event_id} with another ${wrong.join(', ')} than was sent first`
  }
  return undefined
}

function paymentProblem(
  payment: ExternalPayment | undefined,
  trail: readonly PaymentEventRecord[],
): string | undefined {
  if (payment === undefined) return `is not in GET ${listExternalPayments.url}`
  return differences(payment, expectedPayment(trail)).join(', ') || undefined
}
