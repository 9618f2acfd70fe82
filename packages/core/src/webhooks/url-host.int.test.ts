// What is said of a URL's host when it is set: of a name without an address, of one that nobody can look up at present, and with several name servers.
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

test('one without an address, or with a private one among its addresses, is refused', async () => {
  dns.answer('mixed.test', ['8.8.8.8', '10.0.0.1'])
  dns.answer('fine.test', ['8.8.8.8'])
  expect(await problemOf('none.test')).toBe('must have a host that has an address')
  expect(await problemOf('mixed.test')).toBe('must have a host with public addresses only')
  expect(await problemOf('fine.test')).toBeUndefined()
})

test.for([
  ['silence', 'no name server answered in time'],
  ['failure', 'the name server failed'],
] as const)(
  'that a name server answers with %s is nobody’s mistake, and worth another try',
  async ([how, why]) => {
    dns.answer('away.test', how)
    await expect(problemOf('away.test')).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
      message: expect.stringContaining(why),
    })
  },
)

test('several silent name servers are given no more time than one: what is asked for then is asked anew', async () => {
  const servers = await Promise.all([startDnsServer(), startDnsServer()])
  const all = [dns, ...servers]
  for (const server of all) server.answer('silent.test', 'silence')
  const resolver = createResolver({ servers: all.map(({ address }) => address), timeoutMs: 2500, reuseMs: 0 })
  await expect(resolver.resolve('silent.test')).rejects.toMatchObject({ reason: 'timeout' })
  const asked = () => all.reduce((sum, { questions }) => sum + questions.length, 0)
  // Each was asked for both families. c-ares takes its times a little at random; whole tries beyond it would not be.
  expect(asked()).toBeGreaterThanOrEqual(2 * all.length)
  await new Promise((resolve) => setTimeout(resolve, 700))
  const before = asked()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(asked()).toBe(before)
  await Promise.all(servers.map((server) => server.close()))
})
