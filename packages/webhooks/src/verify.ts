// Verifies a raw webhook: checks both kinds of signature over the bytes of the body, with one or several secrets.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { WebhookVerificationError } from './error.ts'
import { readEvent, type WebhookEvent } from './events.ts'

/** Headers of a framework: an object with names in any case, or an object with `get`, such as fetch's Headers. */
export type WebhookHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | { get(name: string): string | null }

export interface VerifyOptions {
  /** The largest difference between `webhook-timestamp` and now, in seconds. Default 300. */
  toleranceSeconds?: number | undefined
  /** Default: the current time. */
  now?: Date | undefined
  /**
   * Accepts the hex header also for secrets of Standard Webhooks' form. It covers no time, so an attacker can replay a
   * recorded message without limit. Default false.
   */
  allowHexSignature?: boolean | undefined
}

const TOLERANCE_SECONDS = 300
const STANDARD_SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
const STANDARD_KEY_BYTES = { min: 24, max: 64 }

/**
 * Verifies a webhook and reads it.
 *
 * For a secret of Standard Webhooks' form (`whsec_` and the base64 of 24 to 64 bytes) it checks only `webhook-signature`
 * and its timestamp. If the older `X-Webhook-Signature` were enough, an attacker could omit the better header. For other
 * secrets, which cannot make that signature, it checks the hex header.
 *
 * @param rawBody the received bytes, or their text. Never pass `JSON.stringify` of a parsed body: it may change the bytes
 *   (key order, escapes, numbers), and other bytes have another signature
 * @param secret one secret, or several during a rotation; any of them may have signed
 * @throws WebhookVerificationError, whose `code` is the reason
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
    // A wrong signature is more informative than a missing one.
    throw problems.find((problem) => problem?.code !== 'missing_header') ?? problems[0]
  }
  return readEvent(body, header('webhook-id'))
}

function bytesOf(rawBody: string | Uint8Array): Uint8Array {
  if (typeof rawBody === 'string') return Buffer.from(rawBody)
  if (rawBody instanceof Uint8Array) return rawBody
  // JavaScript callers may pass a parsed body. Without this error it would look like a wrong signature.
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
  if (secrets.length === 0)
    throw new WebhookVerificationError('bad_secret', 'At least one secret is required')
  const keys: Keys = { standardKeys: [], hexKeys: [] }
  for (const one of secrets) {
    // A line break from a file would make no signature match.
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

/** Reads a header by its lower-case name; an empty or repeated header counts as missing. */
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

/** The symmetric signature of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. */
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
    // The comparison is also false for NaN.
    Math.abs(now.getTime() / 1000 - Number(timestamp)) <= toleranceSeconds
  if (!isInTime) {
    return new WebhookVerificationError(
      'bad_timestamp',
      `The header webhook-timestamp must be Unix seconds, at most ${toleranceSeconds} s from now`,
    )
  }
  // During a rotation the old and the new secret both sign: several values, separated by spaces.
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

/** Compares in constant time, so that an attacker cannot find a signature byte by byte. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const missing = (names: string) =>
  new WebhookVerificationError('missing_header', `A header is missing or repeated: ${names}`)

const noMatch = (name: string) =>
  new WebhookVerificationError('no_match', `No signature in ${name} matches this body and this secret`)
