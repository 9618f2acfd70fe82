// Ids by which a run finds its own rows: eight scrambled digits of a sequence number, and the run's name.

// Knuth's multiplicative hash is odd, so it is a bijection of 32-bit numbers: a run's ids are distinct. They spread over
// the unique index, as a processor's ids do. Ids at the index's right edge would flatter the database.
const SCRAMBLE = 0x9e3779b1

/** The name of one run, which ends each of its ids, so that the ledger finds them. */
export const newRun = () => Math.random().toString(36).slice(2, 10).padEnd(8, '0')

export const scramble = (sequence: number) => Math.imul(sequence, SCRAMBLE) >>> 0

/** A number's eight digits. */
export const hexDigits = (sequence: number) => scramble(sequence).toString(16).padStart(8, '0')
/** The same in SQL. */
export const hexDigitsSql = (n: string) => `lpad(to_hex((${n}::bigint * ${SCRAMBLE}) % 4294967296), 8, '0')`

export const runId = (prefix: string, run: string, sequence: number) =>
  `${prefix}${hexDigits(sequence)}_${run}`

/** SQL for the id of number `n` of a run, equal to `runId`: the database compares ledgers. */
export const runIdSql = (prefix: string, run: string, n: string) =>
  `'${prefix}' || ${hexDigitsSql(n)} || '_${run}'`
