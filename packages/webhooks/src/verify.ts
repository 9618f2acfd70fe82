// Verifies a webhook as it came: both signatures of Sluice, by any of several secrets, over the bytes of the body.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { WebhookVerificationError } from './error.ts'
import { readEvent, type WebhookEvent } from './events.ts'

/** What frameworks call headers: an object, with names in any case, or something with `get`, such as fetch's Headers. */
export type WebhookHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | { get(name: string): string | null }

export interface VerifyOptions {
  /** How far `webhook-timestamp` may be from now, in seconds, either way. Default 300. */
  toleranceSeconds?: number | undefined
  /** Default: the time. */
  now?: Date | undefined
  /**
   * Takes the hex header also where the secret allows better. It signs no time, so whoever has once seen a message can
   * send it again for ever. Default false.
   */
  allowHexSignature?: boolean | undefined
}

const TOLERANCE_SECONDS = 300
const STANDARD_SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
const STANDARD_KEY_BYTES = { min: 24, max: 64 }

/**
 * Verifies a webhook and reads it.
 *
 * A secret of Standard Webhooks' form (`whsec_` and the base64 of 24 to 64 bytes, as generated ones are) is verified by
 * `webhook-signature` and its timestamp only: if the older `X-Webhook-Signature` would do too, an attacker could
 * leave the better header out. Other secrets, which can make no such signature, are verified by the hex header.
 *
 * @param rawBody the bytes that came, or their text: never `JSON.stringify` of what a framework parsed. Serialising again
 *   need not give the same bytes (key order, escapes, numbers), and what is not byte for byte the same has another signature
 * @param secret one, or several while a secret is being replaced; any of them may have signed
 * @throws WebhookVerificationError, whose `code` says why
 */
export function verify(
  rawBody: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): WebhookEvent {
  const body = bytesOf(rawBody)
  const { standardKeys, hexKeys } = keysOf(secret, options.allowHexSignature ?? false)
  const header = headerReader(headers)
  const problems = [
    ...(standardKeys.length > 0 ? [standardProblem(body, header, standardKeys, options)] : []),
    ...(hexKeys.length > 0 ? [hexProblem(body, header, hexKeys)] : []),
  ]
  if (!problems.includes(undefined)) {
    // A signature that is wrong tells more than one that isn't there.
    throw problems.find((problem) => problem?.code !== 'missing_header') ?? problems[0]
  }
  return readEvent(body, header('webhook-id'))
}

function bytesOf(rawBody: string | Uint8Array): Uint8Array {
  if (typeof rawBody === 'string') return Buffer.from(rawBody)
  if (rawBody instanceof Uint8Array) return rawBody
  // What JavaScript callers do, and what would look like a wrong signature otherwise.
  throw new WebhookVerificationError(
    'bad_body',
    'The raw body must be given, as text or bytes, before a framework parses it: see the README of @sluice/webhooks',
  )
}

interface Keys {
  standardKeys: Buffer[]
  hexKeys: string[]
}

function keysOf(secret: string | readonly string[], allowHexSignature: boolean): Keys {
  const secrets: readonly unknown[] = Array.isArray(secret) ? secret : [secret]
  if (secrets.length === 0) throw new WebhookVerificationError('bad_secret', 'There must be a secret')
  const keys: Keys = { standardKeys: [], hexKeys: [] }
  for (const one of secrets) {
    // A line break that came along from a file would only show as signatures that never match.
    if (typeof one !== 'string' || one === '' || one.trim() !== one) {
      throw new WebhookVerificationError(
        'bad_secret',
        'The secret must be text without white space around it',
      )
    }
    const standardKey = standardKeyOf(one)
    if (standardKey !== undefined) keys.standardKeys.push(standardKey)
    if (standardKey === undefined || allowHexSignature) keys.hexKeys.push(one)
  }
  return keys
}

function standardKeyOf(secret: string): Buffer | undefined {
  const base64 = STANDARD_SECRET.exec(secret)?.[1]
  if (base64 === undefined) return undefined
  const key = Buffer.from(base64, 'base64')
  return key.length >= STANDARD_KEY_BYTES.min && key.length <= STANDARD_KEY_BYTES.max ? key : undefined
}

type HeaderReader = (name: string) => string | undefined

/** Reads a header by its lower-case name; one that is empty, or there more than once, is as good as missing. */
function headerReader(headers: WebhookHeaders): HeaderReader {
  if (typeof headers.get === 'function') {
    const source = headers as { get(name: string): string | null }
    return (name) => source.get(name) || undefined
  }
  const entries = Object.entries(headers as Record<string, string | readonly string[] | undefined>)
  return (name) => {
    const values = entries.flatMap(([key, value]) => (key.toLowerCase() === name ? (value ?? []) : []))
    return values.length === 1 ? values[0] || undefined : undefined
  }
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, symmetric kind. */
function standardProblem(
  body: Uint8Array,
  header: HeaderReader,
  keys: readonly Buffer[],
  { toleranceSeconds = TOLERANCE_SECONDS, now = new Date() }: VerifyOptions,
): WebhookVerificationError | undefined {
  const id = header('webhook-id')
  const timestamp = header('webhook-timestamp')
  const signatures = header('webhook-signature')
  if (id === undefined || timestamp === undefined || signatures === undefined) {
    return missing('one of webhook-id, webhook-timestamp, webhook-signature')
  }
  const isInTime =
    /^\d{1,12}$/.test(timestamp) &&
    // False for what is not a number, too.
    Math.abs(now.getTime() / 1000 - Number(timestamp)) <= toleranceSeconds
  if (!isInTime) {
    return new WebhookVerificationError(
      'bad_timestamp',
      `The header webhook-timestamp must be Unix seconds, at most ${toleranceSeconds} s from now`,
    )
  }
  // While a secret is being replaced both the old and the new one sign: several values, separated by spaces.
  const given = signatures.split(' ')
  const matches = keys.some((key) => {
    const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body)
    const expected = `v1,${hmac.digest('base64')}`
    return given.some((signature) => isSame(signature, expected))
  })
  return matches ? undefined : noMatch('webhook-signature')
}

function hexProblem(
  body: Uint8Array,
  header: HeaderReader,
  secrets: readonly string[],
): WebhookVerificationError | undefined {
  const given = header('x-webhook-signature')
  if (given === undefined) return missing('X-Webhook-Signature')
  const matches = secrets.some((secret) =>
    isSame(given, createHmac('sha256', secret).update(body).digest('hex')),
  )
  return matches ? undefined : noMatch('X-Webhook-Signature')
}

/** Takes as long wherever the two differ, so that nobody can find a signature out byte by byte. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const missing = (names: string) =>
  new WebhookVerificationError('missing_header', `Not there, or there more than once: ${names}`)

const noMatch = (name: string) =>
  new WebhookVerificationError('no_match', `No signature in ${name} is that of this body by this secret`)
