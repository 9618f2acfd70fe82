// Symmetric Standard Webhooks signatures over raw bytes.
//
// Specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
import { createHmac, timingSafeEqual } from 'node:crypto'

const SECRET = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/
const TOLERANCE_S = 300

/** The key's bytes; undefined unless the text is an optional `whsec_` and the base64 of 24 to 64 bytes. */
function keyOf(secret: string): Buffer | undefined {
  const base64 = SECRET.exec(secret)?.[1]
  if (base64 === undefined) return undefined
  const key = Buffer.from(base64, 'base64')
  return key.length >= 24 && key.length <= 64 ? key : undefined
}

export const isWebhookSecret = (secret: string): boolean => keyOf(secret) !== undefined

export interface SignedMessage {
  /** The header `webhook-id`. */
  id: string
  /** The header `webhook-timestamp`: Unix seconds, as sent. */
  timestamp: string
  body: Buffer
}

type HeaderValues = Readonly<Record<string, string | string[] | undefined>>
const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const

/**
 * Checks signatures by any of several secrets, in constant time. Both functions return what is wrong, for the sender
 * to read, or undefined.
 */
export function createSignatureCheck(secrets: readonly string[]) {
  const keys = secrets.map((secret) => {
    const key = keyOf(secret)
    if (key === undefined) throw new TypeError('not a Standard Webhooks secret')
    return key
  })

  /** Checks what the headers show before the body arrives. `nowMs` is the current time. */
  function headersProblem(headers: HeaderValues, nowMs: number): string | undefined {
    for (const name of names) {
      const value = headers[name]
      if (typeof value !== 'string' || value === '') return `The header ${name} is missing`
    }
    const timestamp = headers['webhook-timestamp'] as string
    if (!/^\d{1,12}$/.test(timestamp)) return 'The header webhook-timestamp must be an integer: Unix seconds'
    if (Math.abs(nowMs / 1000 - Number(timestamp)) > TOLERANCE_S) {
      return `The header webhook-timestamp must be within ${TOLERANCE_S} s of now`
    }
    return undefined
  }

  function problem(headers: HeaderValues, body: Buffer, nowMs: number): string | undefined {
    const wrongHeader = headersProblem(headers, nowMs)
    if (wrongHeader !== undefined) return wrongHeader
    const [id, timestamp, signature] = names.map((name) => headers[name] as string) as [
      string,
      string,
      string,
    ]
    const given = signature
      .split(' ')
      .filter((part) => part.startsWith('v1,'))
      .map((part) => Buffer.from(part.slice('v1,'.length), 'base64'))
    const matches = keys.some((key) => {
      const expected = digest(key, { id, timestamp, body })
      return given.some((bytes) => bytes.length === expected.length && timingSafeEqual(bytes, expected))
    })
    return matches ? undefined : 'The header webhook-signature must hold a valid v1 signature of these bytes'
  }

  return { headersProblem, problem }
}

/** The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. */
export function signWebhook(secret: string, message: SignedMessage): string {
  const key = keyOf(secret)
  if (key === undefined) throw new TypeError('not a Standard Webhooks secret')
  return `v1,${digest(key, message).toString('base64')}`
}

const digest = (key: Buffer, { id, timestamp, body }: SignedMessage) =>
  createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
