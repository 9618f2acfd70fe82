// Ids of requests, of processes, and of what the gateway makes.
import { randomBytes } from 'node:crypto'

/**
 * Makes request ids that are unique across processes and cheap: a random prefix for the process, then a counter.
 * They follow a delivery into its row, its job and its logs.
 */
export function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${prefix}-${++count}`
}

export const processId = () => randomBytes(9).toString('base64url')

/** What our ids begin with. */
export type IdPrefix = 'order' | 'pay' | 'rfnd'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const ID_CHARACTERS = 16
/** Bytes from here on would favour the first characters. */
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

/** Whether a text can be such an id at all; others are unknown without a look. */
export const isOwnId = (prefix: IdPrefix, text: string): boolean =>
  text.length === prefix.length + 1 + ID_CHARACTERS &&
  text.startsWith(`${prefix}_`) &&
  /^[A-Za-z0-9]+$/.test(text.slice(prefix.length + 1))

const TRIES_MAX = 10

/**
 * Inserts a row under a new id, and under another one when that is taken (which a healthy CSPRNG never brings about).
 * @param insert answers the row, or undefined when the id was taken (ON CONFLICT DO NOTHING)
 */
export async function insertWithNewId<Row>(
  prefix: IdPrefix,
  insert: (id: string) => Promise<Row | undefined>,
  makeId: (prefix: IdPrefix) => string = newId,
): Promise<Row> {
  for (let tries = 1; tries <= TRIES_MAX; tries++) {
    const row = await insert(makeId(prefix))
    if (row !== undefined) return row
  }
  throw new Error(`${TRIES_MAX} new ids in a row were taken: is the random source broken?`)
}
