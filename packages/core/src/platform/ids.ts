// Ids of requests, of processes, and of the gateway's objects.
import { randomBytes } from 'node:crypto'

/**
 * Makes request ids that are unique across processes and cheap: a random prefix for the process, then a counter.
 * They go with an event into its row, its job and its logs.
 */
export function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${prefix}-${++count}`
}

export const processId = () => randomBytes(9).toString('base64url')

/** The beginning of our ids. */
export type IdPrefix = 'order' | 'pay' | 'rfnd'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const ID_CHARACTERS = 16
/** Bytes from here on would make the first characters of the alphabet more likely. */
const BIASED_FROM = 256 - (256 % ALPHABET.length)

/** `length` characters of [A-Za-z0-9], each as likely as any other, from the system's CSPRNG. */
export function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(2 * length)) {
      if (byte < BIASED_FROM && text.length < length) text += ALPHABET[byte % ALPHABET.length]
    }
  }
  return text
}

/** A new id of ours: its prefix, and exactly 16 random letters and digits. */
export const newId = (prefix: IdPrefix): string => `${prefix}_${randomText(ID_CHARACTERS)}`

/** Whether a text has the form of such an id; other texts are unknown ids without a query. */
export const isOwnId = (prefix: IdPrefix, text: string): boolean =>
  text.length === prefix.length + 1 + ID_CHARACTERS &&
  text.startsWith(`${prefix}_`) &&
  /^[A-Za-z0-9]+$/.test(text.slice(prefix.length + 1))

const ATTEMPTS_MAX = 10

/**
 * Inserts a row under a new id; when the id is taken (with a healthy CSPRNG it never is), under another one.
 * @param insert returns the row, or undefined when the id is taken (ON CONFLICT DO NOTHING)
 */
export async function insertWithNewId<Row>(
  prefix: IdPrefix,
  insert: (id: string) => Promise<Row | undefined>,
  makeId: (prefix: IdPrefix) => string = newId,
): Promise<Row> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const row = await insert(makeId(prefix))
    if (row !== undefined) return row
  }
  throw new Error(`${ATTEMPTS_MAX} new ids in a row were taken: is the random source broken?`)
}
