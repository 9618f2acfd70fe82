// How many requests one address may make a minute on routes that anybody may call. Kept in memory, for each process.
import proxyAddr from '@fastify/proxy-addr'
import rateLimit from '@fastify/rate-limit'
import { SluiceError } from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import type { ApiDeps, App } from './app.ts'

export async function limitRates(app: App, { config }: Pick<ApiDeps, 'config'>): Promise<void> {
  // For this, whoever calls from this machine is believed too: the page server hands on whom it serves.
  const isProxy = proxyAddr.compile([...config.trustProxy, 'loopback'])
  await app.register(rateLimit, {
    global: false,
    max: config.rateLimitPerMinute,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => proxyAddr(request.raw, isProxy),
    errorResponseBuilder: (_request, { ttl }) =>
      new SluiceError(
        'RATE_LIMIT_ERROR',
        `Too many requests from this address: at most ${config.rateLimitPerMinute} a minute; try again in ${Math.ceil(ttl / 1000)} s`,
      ),
  })
}

/** Route options: all limited routes share one count. */
export const limited = { rateLimit: { groupId: 'open' } }
