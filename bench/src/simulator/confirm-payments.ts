// Checks that each acknowledged payment event is stored as it was sent, and that its payment follows from its events.
import {
  createClient,
  type ExternalPayment,
  listExternalPayments,
  listPaymentEvents,
  type PaymentEventRecord,
  type PaymentEventRequest,
} from '@sluice/contracts'
import { differences, expectedPayment } from '../payment-model.ts'
import {
  type CheckResult,
  type Confirmation,
  type ConfirmOptions,
  conclusive,
  confirmAll,
} from './confirm.ts'
import type { LedgerEntry } from './processor.ts'

const PAGE = 1000

type Entry = LedgerEntry<PaymentEventRequest>

/** Results by payment id. Call it when the sending has ended. */
export function confirmPayments(
  url: string,
  ledger: ReadonlyMap<string, Entry>,
  options: ConfirmOptions,
): Promise<Confirmation> {
  const call = createClient(url)
  const acknowledged = new Map<string, Entry[]>()
  for (const entry of ledger.values()) {
    const { payment_id } = entry.body
    acknowledged.set(payment_id, [...(acknowledged.get(payment_id) ?? []), entry])
  }

  /** The run's payments changed last: it reads pages until it has them all. Undefined without a conclusive response. */
  async function readList(): Promise<ReadonlyMap<string, ExternalPayment> | undefined> {
    const found = new Map<string, ExternalPayment>()
    for (let offset = 0; found.size < acknowledged.size; offset += PAGE) {
      const response = await conclusive(call(listExternalPayments, { query: { limit: PAGE, offset } }))
      if (response === undefined) return undefined
      if (response.status !== 200)
        throw new Error(`GET ${listExternalPayments.url} responds ${response.status}`)
      for (const payment of response.body)
        if (acknowledged.has(payment.payment_id)) found.set(payment.payment_id, payment)
      if (response.body.length < PAGE) break
    }
    return found
  }
  let reading: ReturnType<typeof readList> | undefined

  async function check(id: string): Promise<CheckResult> {
    reading ??= readList()
    const list = await reading
    if (list === undefined) {
      reading = undefined
      return 'open'
    }
    const trail = await conclusive(
      call(listPaymentEvents, { params: { payment_id: id }, query: { limit: PAGE } }),
    )
    if (trail === undefined) return 'open'
    if (trail.status !== 200) return { problem: `GET of its events responds ${trail.status}` }
    const problem =
      trailProblem(acknowledged.get(id)!, trail.body) ?? paymentProblem(list.get(id), trail.body)
    return problem === undefined ? 'right' : { problem }
  }

  return confirmAll([...acknowledged.keys()], check, options)
}

/** An event without an acknowledgement may be in the trail or not: both are right. */
function trailProblem(entries: readonly Entry[], trail: readonly PaymentEventRecord[]): string | undefined {
  const byId = new Map(trail.map((record) => [record.event_id, record]))
  if (byId.size < trail.length) return 'has an event twice'
  for (const { body, acceptedAs, acceptedTimes, acknowledgedTimes } of entries) {
    const record = byId.get(body.event_id)
    if (record === undefined) return `lacks the acknowledged event ${body.event_id}`
    if (acceptedTimes > 1) return `accepted ${body.event_id} ${acceptedTimes} times as new`
    if (record.deliveries < acknowledgedTimes)
      return `counts ${record.deliveries} requests of ${body.event_id}, of which ${acknowledgedTimes} were acknowledged`
    if (acceptedAs === undefined) continue // the response that accepted it was lost
    const { payment_id: _, ...sent } = acceptedAs
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
