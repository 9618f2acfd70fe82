// The rate limit of unauthenticated routes, all of them together: requests a minute from one address.
import proxyAddr from '@fastify/proxy-addr'
import rateLimit from '@fastify/rate-limit'
import { SluiceError } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import ipaddr from 'ipaddr.js'
import type { ApiDeps, App } from './deps.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** An onRequest hook for routes whose contract has `rateLimited`. */
    limitRate: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
}

/** The counts are in memory, for each process. */
const WINDOW_MS = 60_000
/** How many addresses are counted; the least recently used one is dropped first. */
const ADDRESSES_MAX = 50_000

export async function limitRates(app: App, { config }: Pick<ApiDeps, 'config'>): Promise<void> {
  const max = config.rateLimitPerMinute
  // Here loopback counts as a trusted proxy too: the page server forwards the address of its client.
  const isProxy = proxyAddr.compile([...config.trustProxy, 'loopback'])
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: WINDOW_MS,
    cache: ADDRESSES_MAX,
    keyGenerator: (request: FastifyRequest) => countedAddress(proxyAddr(request.raw, isProxy)),
  })
  const count = app.createRateLimit()
  app.decorate('limitRate', async (request: FastifyRequest, reply: FastifyReply) => {
    const verdict = await count(request)
    if (verdict.isAllowed || !verdict.isExceeded) return
    const seconds = Math.max(1, verdict.ttlInSeconds)
    reply.header('retry-after', seconds)
    throw new SluiceError(
      'RATE_LIMIT_ERROR',
      `Too many requests from this address: at most ${max} a minute; try again in ${seconds} s`,
    )
  })
}

/** A client with one IPv6 address has its whole /64 (RFC 6177), so a /64 counts as one. Invalid addresses count as one. */
export function countedAddress(text: string): string {
  if (!ipaddr.isValid(text)) return 'no address'
  const address = ipaddr.process(text) // an IPv4 address within IPv6 is what it stands for
  if (address.kind() === 'ipv4') return address.toString()
  return `${(address as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
