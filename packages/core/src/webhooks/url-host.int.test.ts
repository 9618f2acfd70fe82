// The check of a URL's host at configuration: names without an address, and name servers that fail or are silent.
import { startDnsServer, type TestDnsServer } from '@sluice/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createOutbound } from './outbound-http.ts'
import { createResolver } from './resolve-host.ts'

let dns: TestDnsServer
beforeEach(async () => {
  dns = await startDnsServer()
})
afterEach(() => dns.close())

const problemOf = (host: string) => {
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 300, reuseMs: 0 })
  return createOutbound({ allowPrivate: false, resolver }).addressProblem(`https://${host}/`)
}

test('a host without an address, or with a private address, is refused', async () => {
  dns.answer('mixed.test', ['8.8.8.8', '10.0.0.1'])
  dns.answer('fine.test', ['8.8.8.8'])
  expect(await problemOf('none.test')).toBe('must have a host that has an address')
  expect(await problemOf('mixed.test')).toBe('must have a host with public addresses only')
  expect(await problemOf('fine.test')).toBeUndefined()
})

test.for([
  ['silence', 'no name server responded in time'],
  ['failure', 'the name server failed'],
] as const)(
  'a name server that responds with %s is SERVICE_UNAVAILABLE, not an error in the request',
  async ([how, why]) => {
    dns.answer('away.test', how)
    await expect(problemOf('away.test')).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
      message: expect.stringContaining(why),
    })
  },
)

test('several silent name servers share the time limit of one, and no query follows after it', async () => {
  const servers = await Promise.all([startDnsServer(), startDnsServer()])
  const all = [dns, ...servers]
  for (const server of all) server.answer('silent.test', 'silence')
  const resolver = createResolver({ servers: all.map(({ address }) => address), timeoutMs: 2500, reuseMs: 0 })
  await expect(resolver.resolve('silent.test')).rejects.toMatchObject({ reason: 'timeout' })
  const queries = () => all.reduce((sum, { questions }) => sum + questions.length, 0)
  // Each got a query for both families. c-ares randomises its times a little, so the next check starts 700 ms later.
  expect(queries()).toBeGreaterThanOrEqual(2 * all.length)
  await new Promise((resolve) => setTimeout(resolve, 700))
  const before = queries()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(queries()).toBe(before)
  await Promise.all(servers.map((server) => server.close()))
})
