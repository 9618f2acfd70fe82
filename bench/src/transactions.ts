// Realistic transactions, and the ids by which a run finds its own rows again.

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

// Knuth's multiplicative hash: odd, so a bijection of 32-bit numbers. Ids of a run are all distinct and land all over
// the unique index, as a processor's would, instead of always at its right edge, which would flatter the database.
const SCRAMBLE = 0x9e3779b1
const HEX = Buffer.from('0123456789abcdef')
const PREFIX = 'txn_'

/** Names one run; part of each of its ids, so that the ledger query finds them. */
export const newRun = () => Math.random().toString(36).slice(2, 10).padEnd(8, '0')

export function transactionId(run: string, sequence: number): string {
  return `${PREFIX}${(Math.imul(sequence, SCRAMBLE) >>> 0).toString(16).padStart(8, '0')}_${run}`
}

/** A request's JSON with a placeholder id, and where in it the id's eight digits are, to be overwritten in place. */
export function bodyTemplate(run: string): { body: string; digitsAt: number } {
  const body = JSON.stringify({ transaction_id: transactionId(run, 0), ...randomFields() })
  return { body, digitsAt: body.indexOf(PREFIX) + PREFIX.length }
}

export function writeIdDigits(target: Uint8Array, at: number, sequence: number): void {
  const scrambled = Math.imul(sequence, SCRAMBLE) >>> 0
  for (let i = 0; i < 8; i++) target[at + i] = HEX[(scrambled >>> (28 - 4 * i)) & 15]!
}

/** SQL for the id of number `n` of a run, equal to `transactionId`: the ledger is checked inside the database. */
export const transactionIdSql = (n: string, run: string) =>
  `'${PREFIX}' || lpad(to_hex((${n}::bigint * ${SCRAMBLE}) % 4294967296), 8, '0') || '_${run}'`
