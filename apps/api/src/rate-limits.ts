// How many requests one address may make a minute on routes that anybody may call, all of them together. Kept in memory, for each process.
import proxyAddr from '@fastify/proxy-addr'
import rateLimit from '@fastify/rate-limit'
import { SluiceError } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import ipaddr from 'ipaddr.js'
import type { ApiDeps, App } from './deps.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** An onRequest hook for routes whose contract says `rateLimited`. */
    limitRate: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
}

const WINDOW_MS = 60_000
/** The addresses that are remembered; the one that has been quiet for longest is forgotten first. */
const ADDRESSES_MAX = 50_000

export async function limitRates(app: App, { config }: Pick<ApiDeps, 'config'>): Promise<void> {
  const max = config.rateLimitPerMinute
  // For this, whoever calls from this machine is believed too: the page server hands on whom it serves.
  const isProxy = proxyAddr.compile([...config.trustProxy, 'loopback'])
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: WINDOW_MS,
    cache: ADDRESSES_MAX,
    keyGenerator: (request: FastifyRequest) => whoseAddress(proxyAddr(request.raw, isProxy)),
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

/** Who has one IPv6 address has the 2^64 beside it (RFC 6177), so those count as one; what is no address counts together. */
export function whoseAddress(text: string): string {
  if (!ipaddr.isValid(text)) return 'no address'
  const address = ipaddr.process(text) // an IPv4 address within IPv6 is what it stands for
  if (address.kind() === 'ipv4') return address.toString()
  return `${(address as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
