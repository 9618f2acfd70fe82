// Ids by which a run finds its own rows again: eight scrambled digits of a sequence number, and the run's name.

// Knuth's multiplicative hash: odd, so a bijection of 32-bit numbers. Ids of a run are all distinct and land all over
// the unique index, as a processor's would, instead of always at its right edge, which would flatter the database.
const SCRAMBLE = 0x9e3779b1
const HEX = Buffer.from('0123456789abcdef')

/** Names one run; the end of each of its ids, so that the ledger query finds them. */
export const newRun = () => Math.random().toString(36).slice(2, 10).padEnd(8, '0')

export const scramble = (sequence: number) => Math.imul(sequence, SCRAMBLE) >>> 0

/** A number's eight digits. */
export const hexDigits = (sequence: number) => scramble(sequence).toString(16).padStart(8, '0')
/** The same in SQL. */
export const hexDigitsSql = (n: string) => `lpad(to_hex((${n}::bigint * ${SCRAMBLE}) % 4294967296), 8, '0')`

export const runId = (prefix: string, run: string, sequence: number) =>
  `${prefix}${hexDigits(sequence)}_${run}`

/** SQL for the id of number `n` of a run, equal to `runId`: ledgers are checked inside the database. */
export const runIdSql = (prefix: string, run: string, n: string) =>
  `'${prefix}' || ${hexDigitsSql(n)} || '_${run}'`

/** Overwrites an id's eight digits in place. */
export function writeIdDigits(target: Uint8Array, at: number, sequence: number): void {
  const scrambled = scramble(sequence)
  for (let i = 0; i < 8; i++) target[at + i] = HEX[(scrambled >>> (28 - 4 * i)) & 15]!
}
