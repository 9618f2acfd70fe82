// A merchant's server that verifies every webhook, prints it, and misbehaves on request.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { verify, type WebhookEvent, WebhookVerificationError } from '@sluice/webhooks'
import { type Behaviour, behaviourOf, HELP } from './behaviour.ts'
import { describeEvent, printable } from './line.ts'

const BODY_BYTES_MAX = 1024 * 1024
/** The limit of remembered ids, so that memory does not grow forever. */
const SEEN_MAX = 10_000

interface ReceiverOptions {
  secret: string
  /** Prints one line, given without its line break. */
  print: (line: string) => void
}

export function createReceiver({ secret, print }: ReceiverOptions): Server {
  const countAttempt = attemptCounter()
  const printLine = (line: string) => print(`${new Date().toLocaleTimeString('en-GB')}  ${printable(line)}`)

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const behaviour = behaviourOf(request.url ?? '/')
    if (typeof behaviour === 'string') return respond(response, 400, `${behaviour}\n`)
    const body = await readBody(request)
    if (body === undefined) return respond(response, 413, `A webhook has at most ${BODY_BYTES_MAX} bytes\n`)
    const event = verifyOrPrintError(body, request)
    if (event === undefined) return respond(response, 401)
    const attempt = countAttempt(event.id)
    const { status, delayMs } = behaviourNow(behaviour, attempt)
    const parts = [
      describeEvent(event, attempt),
      ...(status === 200 ? [] : [`responded ${status}`]),
      ...(delayMs > 0 ? [`responds after ${delayMs} ms`] : []),
    ]
    printLine(parts.join('  '))
    if (delayMs === 0) return respond(response, status)
    respondLater(response, status, delayMs, () => {
      printLine(`the sender did not wait for the response  webhook ${event.id ?? '(no id)'}`)
    })
  }

  function verifyOrPrintError(body: Buffer, request: IncomingMessage): WebhookEvent | undefined {
    try {
      return verify(body, request.headers, secret)
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error
      const id = `webhook ${request.headers['webhook-id'] ?? '(no id)'}`
      const problem = `NOT VERIFIED (${error.code}): ${error.message}${remedyOf(error)}`
      printLine([problem, id, 'responded 401'].join('  '))
      return undefined
    }
  }

  return createServer((request, response) => {
    if (request.method !== 'POST') return respond(response, request.method === 'GET' ? 200 : 405, HELP)
    receive(request, response).catch((error) => {
      // The sender of an incomplete body is gone, so there is no response.
      if (!request.complete) return response.destroy()
      printLine(`failed: ${error}  responded 500`)
      respond(response, 500)
    })
  })
}

/** Advice for errors that another secret may solve. */
const remedyOf = ({ code }: WebhookVerificationError): string =>
  code === 'no_match' || code === 'missing_header'
    ? "; restart the receiver with WEBHOOK_SECRET=<the merchant's webhook_secret>"
    : ''

function respond(response: ServerResponse, status: number, text = ''): void {
  // The rest of a body that is too large is not read.
  if (status === 413) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}

function respondLater(response: ServerResponse, status: number, delayMs: number, onGone: () => void): void {
  const timer = setTimeout(() => respond(response, status), delayMs)
  response.once('close', () => {
    clearTimeout(timer)
    if (!response.writableFinished) onGone()
  })
}

/** Reads the raw bytes, which the signature covers; undefined if there are too many. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  // The loop must not destroy the request, because the 413 must still reach the sender.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const behaviourNow = (behaviour: Behaviour, attempt: number): Pick<Behaviour, 'status' | 'delayMs'> =>
  behaviour.status !== 200 && attempt > behaviour.times ? { status: 200, delayMs: 0 } : behaviour

/** Counts how often a webhook has arrived. Real receivers store that in their database. */
function attemptCounter(): (id: string | undefined) => number {
  const seen = new Map<string, number>()
  return (id) => {
    if (id === undefined) return 1
    const attempt = (seen.get(id) ?? 0) + 1
    seen.delete(id) // move it to the end: the latest ids are kept
    seen.set(id, attempt)
    if (seen.size > SEEN_MAX) for (const oldest of seen.keys()) if (seen.delete(oldest)) break
    return attempt
  }
}
