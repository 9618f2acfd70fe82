// Realistic transactions: ids of a run, and random amounts, accounts and currencies.
import { runId, runIdSql } from './ids.ts'

export type TransactionBody = {
  transaction_id: string
  source_account: string
  destination_account: string
  amount: number
  currency: string
}

// Weighted by repetition: mostly rupees and dollars, and one currency each of 0 and of 3 decimals.
const CURRENCIES: readonly { code: string; decimals: number; typical: number }[] = [
  { code: 'INR', decimals: 2, typical: 1500 },
  { code: 'INR', decimals: 2, typical: 250 },
  { code: 'INR', decimals: 2, typical: 40_000 },
  { code: 'USD', decimals: 2, typical: 60 },
  { code: 'USD', decimals: 2, typical: 900 },
  { code: 'EUR', decimals: 2, typical: 45 },
  { code: 'GBP', decimals: 2, typical: 30 },
  { code: 'JPY', decimals: 0, typical: 4000 },
  { code: 'KWD', decimals: 3, typical: 12 },
]

/** Everything but the id. Amounts are skewed: many small ones, a long tail, and about a third of them round. */
export function randomFields(random: () => number = Math.random): Omit<TransactionBody, 'transaction_id'> {
  const currency = CURRENCIES[Math.floor(random() * CURRENCIES.length)]!
  const spread = Math.exp((random() + random() + random() - 1.5) * 2)
  const rounding = random() < 0.33 ? 0 : currency.decimals
  const amount = Math.max(Number((currency.typical * spread).toFixed(rounding)), 1)
  return {
    source_account: `acc_user_${Math.floor(random() * 90_000) + 10_000}`,
    destination_account: `acc_merchant_${Math.floor(random() * 900) + 100}`,
    amount,
    currency: currency.code,
  }
}

const PREFIX = 'txn_'

export const transactionId = (run: string, sequence: number) => runId(PREFIX, run, sequence)

export const transactionIdSql = (n: string, run: string) => runIdSql(PREFIX, run, n)
