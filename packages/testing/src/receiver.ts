// A receiver of webhooks: keeps every POST by its `webhook-id`, and lists the problems it found.
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

/** A complete POST. */
interface ReceivedPost {
  /** The last part of the URL's path. */
  endpoint: string
  at: number
}

export interface TestReceiver {
  /** The URL of an endpoint; its name is the path. */
  url: (endpoint: string) => string
  /** POSTs to this endpoint must be signed with this secret from now on. */
  setSecret: (endpoint: string, secret: string) => void
  /** POSTs by `webhook-id`, in order of arrival. */
  posts: ReadonlyMap<string, readonly ReceivedPost[]>
  /** The number of POSTs of all ids. */
  count: () => number
  /** The number of POSTs without a response so far. */
  waiting: (endpoint?: string) => number
  /** Problems of POSTs: a wrong signature, or bytes other than those of the attempt before. */
  problems: string[]
  close: () => Promise<void>
}

export interface ReceiverOptions {
  /** The merchants' helper, or another function that throws for a body not signed with the secret. */
  verify: (body: Buffer, headers: http.IncomingHttpHeaders, secret: string) => unknown
  /** Decides when to call `send`, which responds 200; at once by default. */
  respond?: (endpoint: string, send: () => void) => void
}

export async function startReceiver({
  verify,
  respond = (_endpoint, send) => send(),
}: ReceiverOptions): Promise<TestReceiver> {
  const records = createRecords(verify)
  const waiting = new Map<string, number>()
  const wait = (endpoint: string, change: number) =>
    waiting.set(endpoint, (waiting.get(endpoint) ?? 0) + change)

  const server = http.createServer(async (request, response) => {
    // A POST whose sender ended in the middle does not count.
    const chunks = await request.toArray().catch(() => undefined)
    if (chunks === undefined) return
    const endpoint = records.add(request, Buffer.concat(chunks))
    wait(endpoint, 1)
    response.once('close', () => wait(endpoint, -1))
    respond(endpoint, () => response.end('OK'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    url: (endpoint) => `http://127.0.0.1:${port}/${endpoint}`,
    setSecret: (endpoint, secret) => void records.secrets.set(endpoint, secret),
    posts: records.posts,
    count: records.count,
    waiting: (endpoint) =>
      endpoint === undefined
        ? [...waiting.values()].reduce((sum, n) => sum + n, 0)
        : (waiting.get(endpoint) ?? 0),
    problems: records.problems,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** The received POSTs and their problems. */
function createRecords(verify: ReceiverOptions['verify']) {
  const posts = new Map<string, ReceivedPost[]>()
  const bodies = new Map<string, Buffer>()
  const secrets = new Map<string, string>()
  const problems: string[] = []
  let count = 0

  function problemOf(id: string, endpoint: string, headers: http.IncomingHttpHeaders, body: Buffer) {
    const secret = secrets.get(endpoint)
    if (secret === undefined) return 'for an endpoint without a secret'
    const first = bodies.get(id)
    if (first !== undefined && !first.equals(body)) return 'bytes other than those of the attempt before'
    // Existing receivers parse the body, serialise it again, and verify the hex signature of that text.
    const text = JSON.stringify(JSON.parse(body.toString()))
    const hex = createHmac('sha256', secret).update(text).digest('hex')
    if (headers['x-webhook-signature'] !== hex) return 'the hex signature is wrong'
    verify(body, headers, secret)
    return undefined
  }

  /** Records a complete POST and returns its endpoint. */
  function add(request: http.IncomingMessage, body: Buffer): string {
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

  return { posts, secrets, problems, count: () => count, add }
}
