// A pure function that sums the shown payments by currency.
import type { ExternalPaymentsSummary } from '@sluice/contracts'

export interface CurrencyTotal {
  currency: string
  count: number
  /** Minor units. */
  amount: number
  refunded: number
}

/** Adds up the statuses of each currency. The currency with the most payments comes first. */
export function totalsByCurrency(totals: ExternalPaymentsSummary['totals']): CurrencyTotal[] {
  const byCurrency = new Map<string, CurrencyTotal>()
  for (const { currency, count, amount, refunded_amount } of totals) {
    const total = byCurrency.get(currency) ?? { currency, count: 0, amount: 0, refunded: 0 }
    total.count += count
    total.amount += amount
    total.refunded += refunded_amount
    byCurrency.set(currency, total)
  }
  return [...byCurrency.values()].sort((a, b) => b.count - a.count || (a.currency < b.currency ? -1 : 1))
}
