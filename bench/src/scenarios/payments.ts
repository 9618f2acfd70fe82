// A burst of payment events at 256 connections, as `ingest`, by how many events share a payment.
import { postPaymentEvent } from '@sluice/contracts'
import { checkLedger, readWaits, untilDone } from '../ledger/ledger.ts'
import { paymentEventLedger, paymentEventRows } from '../ledger/payment-events.ts'
import { generators } from '../load/generator-process.ts'
import type { PaymentLoad } from '../payment-events.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { type Aftermath, type BurstOnSystem, measureBursts, seconds } from './burst.ts'

const loads: readonly { load: PaymentLoad; title: string; goal?: number }[] = [
  { load: 'new payments', title: 'payments, every event a new payment', goal: 0.35 },
  { load: 'ten payments', title: 'payments, all events on 10 payments', goal: 0.3 },
  { load: 'lifecycles', title: 'payments, 3 events each and 2 % duplicates' },
]

export const payments: Scenario = {
  name: 'payments',
  summary: 'bursts of payment events, likewise: on new payments, on ten payments, realistic',
  async run(context) {
    context.print(`closed loop of ${context.options.connections} connections by ${generators.closedLoop}`)
    const outcomes: Outcome[] = []
    for (const { load, ...named } of loads) {
      context.print(named.title)
      const outcome = await measureBursts(context, {
        ...named,
        url: postPaymentEvent.url,
        bodies: load,
        // The worker publishes events at once: the warm-up's events must not delay the measured ones.
        warmedUp: ({ sql, died }) => untilDone(sql, paymentEventRows, { died }),
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

async function afterwards(kind: PaymentLoad, { sql, run, load, died }: BurstOnSystem): Promise<Aftermath> {
  await untilDone(sql, paymentEventRows, { died }) // first: reading all rows would take CPU from the worker
  const ledger = await checkLedger(sql, paymentEventLedger(kind), { run, ...load })
  const lateness = await readWaits(sql, paymentEventRows, run)
  const { lagMs, p50, p99 } = lateness
  return {
    ledger,
    lateness,
    note: `all events were published ${seconds(lagMs)} after the last one was received (each after its own receipt: p50 ${seconds(p50)}, p99 ${seconds(p99)})`,
  }
}
