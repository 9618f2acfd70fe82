// A receiver of webhooks that counts: every POST by its `webhook-id`, with what was wrong with any of them.
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

/** A POST that came whole. */
interface ReceivedPost {
  /** The last part of the URL's path. */
  endpoint: string
  at: number
}

export interface TestReceiver {
  /** As many endpoints as wanted: the name is the path. */
  url: (endpoint: string) => string
  /** From now on its POSTs must be signed by this secret. */
  trust: (endpoint: string, secret: string) => void
  /** By `webhook-id`, each in the order of arrival. */
  posts: ReadonlyMap<string, readonly ReceivedPost[]>
  /** Of all ids. */
  count: () => number
  /** POSTs without an answer so far. */
  waiting: (endpoint?: string) => number
  /** What was wrong with POSTs: not signed, not the bytes of the attempt before, not what the JSON says. */
  problems: string[]
  close: () => Promise<void>
}

export interface ReceiverOptions {
  /** The merchants' helper, or anything that throws for a body that is not signed by the secret. */
  verify: (body: Buffer, headers: http.IncomingHttpHeaders, secret: string) => unknown
  /** Answers 200 when, and if, `respond` is called; at once by default. */
  answer?: (endpoint: string, respond: () => void) => void
}

export async function startReceiver({
  verify,
  answer = (_endpoint, respond) => respond(),
}: ReceiverOptions): Promise<TestReceiver> {
  const posts = new Map<string, ReceivedPost[]>()
  const bodies = new Map<string, Buffer>()
  const secrets = new Map<string, string>()
  const waiting = new Map<string, number>()
  const problems: string[] = []
  let count = 0

  function problemOf(id: string, endpoint: string, headers: http.IncomingHttpHeaders, body: Buffer) {
    const secret = secrets.get(endpoint)
    if (secret === undefined) return 'for an endpoint that nobody trusts'
    const first = bodies.get(id)
    if (first !== undefined && !first.equals(body)) return 'other bytes than before'
    // What receivers of the seed do: they parse, serialise again, and compare with that.
    const text = JSON.stringify(JSON.parse(body.toString()))
    const hex = createHmac('sha256', secret).update(text).digest('hex')
    if (headers['x-webhook-signature'] !== hex) return 'not signed as the seed wants it'
    verify(body, headers, secret)
    return undefined
  }

  function note(request: http.IncomingMessage, body: Buffer): string {
    const id = String(request.headers['webhook-id'])
    const endpoint = request.url?.split('/').at(-1) ?? ''
    count += 1
    posts.set(id, [...(posts.get(id) ?? []), { endpoint, at: Date.now() }])
    let problem: string | undefined
    try {
      problem = problemOf(id, endpoint, request.headers, body)
    } catch (error) {
      problem = String(error)
    }
    if (problem !== undefined) problems.push(`${id} at ${endpoint}: ${problem}`)
    bodies.set(id, body)
    return endpoint
  }

  const wait = (endpoint: string, change: number) =>
    waiting.set(endpoint, (waiting.get(endpoint) ?? 0) + change)

  const server = http.createServer(async (request, response) => {
    // One whose sender died in the middle was not received.
    const chunks = await request.toArray().catch(() => undefined)
    if (chunks === undefined) return
    const endpoint = note(request, Buffer.concat(chunks))
    wait(endpoint, 1)
    response.once('close', () => wait(endpoint, -1))
    answer(endpoint, () => response.end('OK'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    url: (endpoint) => `http://127.0.0.1:${port}/${endpoint}`,
    trust: (endpoint, secret) => void secrets.set(endpoint, secret),
    posts,
    count: () => count,
    waiting: (endpoint) =>
      endpoint === undefined
        ? [...waiting.values()].reduce((sum, n) => sum + n, 0)
        : (waiting.get(endpoint) ?? 0),
    problems,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
