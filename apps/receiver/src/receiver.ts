// The server of a merchant who verifies every webhook, prints what came, and misbehaves when asked to.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { verify, type WebhookEvent, WebhookVerificationError } from '@sluice/webhooks'
import { type Behaviour, behaviourOf, HELP } from './behaviour.ts'
import { describeEvent, printable } from './line.ts'

const BODY_BYTES_MAX = 1024 * 1024
/** Of the ids that are remembered, so that the receiver may run for ever. */
const SEEN_MAX = 10_000

export interface ReceiverOptions {
  secret: string
  /** Takes one line, without its end. */
  print: (line: string) => void
}

export function createReceiver({ secret, print }: ReceiverOptions): Server {
  const countAttempt = attemptCounter()
  const tell = (line: string) => print(`${new Date().toLocaleTimeString('en-GB')}  ${printable(line)}`)

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const behaviour = behaviourOf(request.url ?? '/')
    if (typeof behaviour === 'string') return answer(response, 400, `${behaviour}\n`)
    const body = await readBody(request)
    if (body === undefined) return answer(response, 413, `A webhook has at most ${BODY_BYTES_MAX} bytes\n`)
    const event = verifyOrSayWhy(body, request)
    if (event === undefined) return answer(response, 401)
    const attempt = countAttempt(event.id)
    const { status, delayMs } = behaviourNow(behaviour, attempt)
    const told = [
      describeEvent(event, attempt),
      ...(status === 200 ? [] : [`answered ${status}`]),
      ...(delayMs > 0 ? [`to be answered after ${delayMs} ms`] : []),
    ]
    tell(told.join('  '))
    if (delayMs === 0) return answer(response, status)
    answerLater(response, status, delayMs, () => {
      tell(`its sender did not wait for the answer  webhook ${event.id ?? '(no id)'}`)
    })
  }

  function verifyOrSayWhy(body: Buffer, request: IncomingMessage): WebhookEvent | undefined {
    try {
      return verify(body, request.headers, secret)
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error
      const id = `webhook ${request.headers['webhook-id'] ?? '(no id)'}`
      tell(
        [`NOT VERIFIED (${error.code}): ${error.message}${remedyOf(error)}`, id, 'answered 401'].join('  '),
      )
      return undefined
    }
  }

  return createServer((request, response) => {
    if (request.method !== 'POST') return answer(response, request.method === 'GET' ? 200 : 405, HELP)
    receive(request, response).catch((error) => {
      // A body that broke off has nobody left to answer.
      if (!request.complete) return response.destroy()
      tell(`failed: ${error}  answered 500`)
      answer(response, 500)
    })
  })
}

/** What to do where another secret may be the right one: its webhooks may even be signed in the other way. */
const remedyOf = ({ code }: WebhookVerificationError): string =>
  code === 'no_match' || code === 'missing_header'
    ? "; start me again with WEBHOOK_SECRET=<the merchant's webhook_secret>"
    : ''

function answer(response: ServerResponse, status: number, text = ''): void {
  // What is left of a body that is too large is not read.
  if (status === 413) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}

function answerLater(response: ServerResponse, status: number, delayMs: number, onGone: () => void): void {
  const timer = setTimeout(() => answer(response, status), delayMs)
  response.once('close', () => {
    clearTimeout(timer)
    if (!response.writableFinished) onGone()
  })
}

/** The bytes as they came, since they are what is signed; undefined when there are too many. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Not destroyed on the way out: the refusal must still find its way to the sender.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const behaviourNow = (behaviour: Behaviour, attempt: number): Pick<Behaviour, 'status' | 'delayMs'> =>
  behaviour.status !== 200 && attempt > behaviour.times ? { status: 200, delayMs: 0 } : behaviour

/** Answers how often a webhook has come, this time included. Real receivers remember that in their database. */
function attemptCounter(): (id: string | undefined) => number {
  const seen = new Map<string, number>()
  return (id) => {
    if (id === undefined) return 1
    const attempt = (seen.get(id) ?? 0) + 1
    seen.delete(id) // to the end: those that came last are kept
    seen.set(id, attempt)
    if (seen.size > SEEN_MAX) for (const oldest of seen.keys()) if (seen.delete(oldest)) break
    return attempt
  }
}
