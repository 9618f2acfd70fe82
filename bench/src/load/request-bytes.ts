// Requests as bytes, for connections without an HTTP client.
import { writeIdDigits } from '../ids.ts'
import { bodyTemplate } from '../transactions.ts'
import type { Requests } from './bodies.ts'
import type { LoadTarget } from './plan.ts'

/** The request of a number. The bytes are good until the next one is asked for: a connection has one in flight. */
export type RequestBytes = (sequence: number) => Uint8Array

/** Built anew for each number: dear, and fine for some hundreds a second. */
export function builtRequests({ url, headers }: LoadTarget, { bodyOf, headersOf }: Requests): RequestBytes {
  return (sequence) => {
    const body = JSON.stringify(bodyOf(sequence))
    return Buffer.from(head(new URL(url), body, { ...headers, ...headersOf?.(sequence) }) + body)
  }
}

/** One transaction, whose id is overwritten for each use. */
export function transactionRequests({ url, run, headers = {} }: LoadTarget): RequestBytes {
  const { body, digitsAt } = bodyTemplate(run)
  const start = head(new URL(url), body, headers)
  const bytes = Buffer.from(start + body)
  return (sequence) => {
    writeIdDigits(bytes, start.length + digitsAt, sequence)
    return bytes
  }
}

function head({ host, pathname }: URL, body: string, headers: Record<string, string>): string {
  const all = {
    host,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`
}
