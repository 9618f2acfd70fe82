// A burst of payment events at 256 connections, as `ingest` is one of transactions, by how many events share a payment.
import { postPaymentEvent } from '@sluice/contracts'
import { untilDone } from '../ledger.ts'
import { generators } from '../load/client.ts'
import type { PaymentLoad } from '../payment-events.ts'
import {
  checkPaymentLedger,
  followUpLateness,
  followUpWork,
  paymentLedgerVerdict,
} from '../payment-ledger.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { type Aftermath, type BurstOnSystem, measureBursts, seconds } from './burst.ts'

const loads: readonly { load: PaymentLoad; title: string; goal?: number }[] = [
  { load: 'new payments', title: 'payments, every event a new payment', goal: 0.35 },
  { load: 'ten payments', title: 'payments, all events on 10 payments', goal: 0.3 },
  { load: 'lifecycles', title: 'payments, 3 events each and 2 % redeliveries' },
]

export const payments: Scenario = {
  name: 'payments',
  summary: 'bursts of payment events, likewise: on new payments, on ten payments, realistic',
  async run(context) {
    context.say(`closed loop of ${context.options.connections} connections by ${generators.closedLoop}`)
    const outcomes: Outcome[] = []
    for (const { load, ...named } of loads) {
      context.say(named.title)
      const outcome = await measureBursts(context, {
        ...named,
        url: postPaymentEvent.url,
        bodies: load,
        // Follow-ups are due at once: the warm-up's must not stand in the way of what is measured.
        warmedUp: ({ sql, died }) => untilDone(sql, followUpWork, died),
        afterwards: (burst) => afterwards(load, burst),
      })
      outcomes.push(outcome)
    }
    return {
      tables: outcomes.flatMap(({ tables }) => tables),
      data: Object.fromEntries(loads.map(({ load }, i) => [load, outcomes[i]?.data])),
      problems: outcomes.flatMap(({ problems }) => problems),
    }
  },
}

async function afterwards(load: PaymentLoad, burst: BurstOnSystem): Promise<Aftermath> {
  const { sql, run, died } = burst
  await untilDone(sql, followUpWork, died) // first, so that reading it all takes nothing from the worker
  const ledger = paymentLedgerVerdict(await checkPaymentLedger(sql, load, run, burst.load))
  const lateness = await followUpLateness(sql, run)
  return {
    ledger,
    lateness,
    note: `all follow-ups were done ${seconds(lateness.lastAfterBurst)} after the last event came in (each after its own: p50 ${seconds(lateness.p50)}, p99 ${seconds(lateness.p99)})`,
  }
}
