// Where outgoing POSTs go: names that rebind, hang or do not exist, and address ranges that are always blocked.
import { once } from 'node:events'
import net from 'node:net'
import {
  type MisbehavingServer,
  type MisbehaviourName,
  startDnsServer,
  startMisbehavingServer,
  type TestDnsServer,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOutbound, type Outbound } from './outbound-http.ts'
import { createResolver } from './resolve-host.ts'

const DEADLINE_MS = 700

let server: MisbehavingServer
let dns: TestDnsServer
let outbound: Outbound

/** An outbound that may post to any address, and queries the test's name server for every post. */
const open = (options: Partial<Parameters<typeof createOutbound>[0]> = {}) =>
  createOutbound({
    allowPrivate: true,
    deadlineMs: DEADLINE_MS,
    resolver: createResolver({ servers: [dns.address], timeoutMs: 400, reuseMs: 0 }),
    ...options,
  })

beforeAll(async () => {
  server = await startMisbehavingServer()
  dns = await startDnsServer()
  outbound = open()
})
afterAll(async () => {
  await outbound.close()
  await server.close()
  await dns.close()
})

const postTo = (url: string, by = outbound) => by.post(url, { headers: {}, body: '{}' })
const classOf = async (url: string, by = outbound) => {
  const result = await postTo(url, by)
  return result.is === 'failed' ? result.error : result.status
}

describe('names', () => {
  const urlOf = (host: string, name: MisbehaviourName = 'ok') => `http://${host}:${server.port}/${name}`

  test('that do not exist, fail or hang are dns, and delay no other post', async () => {
    dns.answer('fails.test', 'failure')
    dns.answer('silent.test', 'silence')
    dns.answer('fine.test', ['127.0.0.1'])
    expect(await classOf(urlOf('unknown.test'))).toBe('dns')
    expect(await classOf(urlOf('fails.test'))).toBe('dns')
    const patient = open({
      deadlineMs: 4000,
      resolver: createResolver({ servers: [dns.address], timeoutMs: 2000, reuseMs: 0 }),
    })
    let isSilentOver = false
    const silent = Array.from({ length: 20 }, () =>
      classOf(urlOf('silent.test'), patient).finally(() => {
        isSilentOver = true
      }),
    )
    expect(await classOf(urlOf('fine.test'), patient)).toBe(200)
    expect(isSilentOver).toBe(false)
    expect(new Set(await Promise.all(silent))).toEqual(new Set(['dns']))
    expect(await classOf(urlOf('silent.test'), open({ deadlineMs: 200 }))).toBe('dns')
  })

  test('with one address that does not respond are reached at another', async () => {
    dns.answer('two.test', ['127.0.0.1', '::1'])
    const six = net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 201 Made\r\n\r\n'))
    six.listen(0, '::1')
    await once(six, 'listening')
    expect(await classOf(`http://two.test:${(six.address() as net.AddressInfo).port}/`)).toBe(201)
    six.close()
  })

  test('are connected to at the resolved address, even if they change to another right after', async () => {
    let queries = 0
    // Nothing listens at the second address.
    dns.answer('rebinds.test', (family) =>
      family === 6 ? [] : queries++ === 0 ? ['127.0.0.1'] : ['127.0.0.9'],
    )
    expect(await classOf(urlOf('rebinds.test'))).toBe(200)
    expect(queries).toBe(1)
    expect(server.requests.at(-1)!.head).toContain(`host: rebinds.test:${server.port}`)
    // An idle connection to the first address is not used for a name that has moved.
    await expect.poll(() => classOf(urlOf('rebinds.test')), { timeout: 15_000 }).not.toBe(200)
  })
})

describe('with private addresses not allowed', () => {
  const strictly = () => open({ allowPrivate: false })
  const hosts = [
    ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '0', 'localhost', '[::1]', '[::]', '[::ffff:127.0.0.1]'],
    [
      '[::7f00:1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      '10.0.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '[fd00::1]',
    ],
    ['192.0.2.1', '224.0.0.1', '255.255.255.255', '%31%32%37.0.0.1', '127。0。0。1', '①②⑦.0.0.1'],
  ].flat()

  test.each(hosts)('%s is blocked, and no connection is made', async (host) => {
    const own = strictly()
    const url = `http://${host}:${server.port}/ok`
    const before = server.connections()
    expect(await classOf(url, own)).toBe('blocked_address')
    if (host !== 'localhost') expect(own.urlProblem(url)).toContain('public')
    expect(await own.addressProblem(url)).toContain('public')
    expect(server.connections()).toBe(before)
  })

  test('a name is blocked if any of its addresses is private, at configuration and at every attempt', async () => {
    const own = strictly()
    const before = server.connections()
    dns.answer('mixed.test', ['93.184.216.34', '127.0.0.1'])
    dns.answer('mapped.test', ['::ffff:127.0.0.1'])
    dns.answer('compatible.test', ['93.184.216.34', '::7f00:1'])
    for (const host of ['mixed.test', 'mapped.test', 'compatible.test']) {
      const url = `http://${host}:${server.port}/ok`
      expect(own.urlProblem(url)).toBeUndefined()
      expect(await own.addressProblem(url)).toContain('public')
      expect(await classOf(url, own)).toBe('blocked_address')
    }
    expect(server.connections()).toBe(before)
  })

  test('a name that was public at configuration and is private now is blocked', async () => {
    const own = strictly()
    const before = server.connections()
    dns.answer('turns.test', ['93.184.216.34'])
    const url = `http://turns.test:${server.port}/ok`
    expect(await own.addressProblem(url)).toBeUndefined()
    dns.answer('turns.test', ['127.0.0.1'])
    await expect.poll(() => own.addressProblem(url), { timeout: 15_000 }).toContain('public')
    expect(await classOf(url, own)).toBe('blocked_address')
    expect(server.connections()).toBe(before)
  })

  test('at configuration a name without an address is refused, unless private addresses are allowed', async () => {
    expect(await strictly().addressProblem('https://unknown.test/')).toContain('has an address')
    expect(await outbound.addressProblem('https://unknown.test/')).toBeUndefined()
    expect(await outbound.addressProblem('ftp://unknown.test/')).toContain('http')
  })

  test('at configuration a name server that fails or is silent is SERVICE_UNAVAILABLE', async () => {
    dns.answer('fails.test', 'failure')
    dns.answer('silent.test', 'silence')
    for (const host of ['fails.test', 'silent.test']) {
      await expect(strictly().addressProblem(`https://${host}/`)).rejects.toMatchObject({
        code: 'SERVICE_UNAVAILABLE',
      })
    }
  })
})
