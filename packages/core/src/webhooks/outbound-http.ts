// The only way out: one POST to a URL that a merchant chose, to public addresses, within a deadline, with one result.
import { createConnectionPool } from './outbound-connections.ts'
import { OutboundExchange } from './outbound-exchange.ts'
import { OutboundFailure } from './outbound-failure.ts'
import type { OutboundResult } from './outcome.ts'
import { createResolver, type HostResolver } from './resolve-host.ts'
import { addressProblem, checkedAddresses, syntaxProblem, urlProblem } from './webhook-url.ts'

const DEADLINE_MS = 5_000
const RESOLVE_MS_MAX = 2_500

interface OutboundRequest {
  headers: Record<string, string>
  body: string | Buffer
}

export interface Outbound {
  /** Sends one POST, at most once, and never throws. It ends by the deadline, which includes resolving the host. */
  post(url: string, request: OutboundRequest): Promise<OutboundResult>
  /** What is wrong with a URL as text; undefined when it is valid. */
  urlProblem(url: string): string | undefined
  /** That, or what is wrong with its host's present addresses. @throws SERVICE_UNAVAILABLE when no name server responds */
  addressProblem(url: string): Promise<string | undefined>
  /** Closes idle connections and waits for the posts in flight. */
  close(): Promise<void>
}

/** `allowPrivate` allows any address; `ca` (PEM) replaces the usual certificate authorities. */
export function createOutbound({
  allowPrivate,
  deadlineMs = DEADLINE_MS,
  resolver = createResolver({ timeoutMs: Math.min(RESOLVE_MS_MAX, deadlineMs) }),
  ca,
}: {
  allowPrivate: boolean
  deadlineMs?: number
  resolver?: HostResolver
  ca?: string
}): Outbound {
  const rules = { allowPrivate, resolver }
  const connections = createConnectionPool(ca)
  const inFlight = new Set<Promise<OutboundResult>>()

  async function send(exchange: OutboundExchange, url: string, request: OutboundRequest): Promise<void> {
    const problem = syntaxProblem(url)
    if (problem !== undefined) throw new OutboundFailure('invalid_url', problem)
    const { origin, hostname, pathname, search } = new URL(url)
    const addresses = await checkedAddresses(rules, hostname)
    if (exchange.isOver) return
    const connection = connections.take(origin, addresses)
    exchange.useConnection(connection)
    const { headers, body } = request
    connection.client.dispatch({ path: pathname + search, method: 'POST', headers, body }, exchange)
  }

  return {
    async post(url, request) {
      const exchange = new OutboundExchange(deadlineMs)
      inFlight.add(exchange.result)
      send(exchange, url, request).catch((error) => exchange.fail(error))
      return exchange.result.finally(() => inFlight.delete(exchange.result))
    },
    urlProblem: (url) => urlProblem(rules, url),
    addressProblem: (url) => addressProblem(rules, url),
    async close() {
      connections.close()
      await Promise.all(inFlight)
    },
  }
}
