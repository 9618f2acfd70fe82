// Lookups with a test name server: both families, the hosts file, single flight, deadlines.
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { makeTemporaryFolder, startDnsServer, type TestDnsServer } from '@sluice/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createResolver, ResolveError } from './resolve-host.ts'

let dns: TestDnsServer
const folder = makeTemporaryFolder('hosts')
const hostsFile = path.join(folder, 'hosts')

beforeAll(async () => {
  dns = await startDnsServer()
})
beforeEach(() => {
  dns.questions.length = 0
  writeFileSync(hostsFile, '')
})
afterAll(async () => {
  await dns.close()
  rmSync(folder, { recursive: true, force: true })
})

const eventually = { timeout: 15_000 }

const resolver = (timeoutMs = 600, reuseMs = 0) =>
  createResolver({ servers: [dns.address], timeoutMs, hostsFile, reuseMs })
const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error) => (error instanceof ResolveError ? error.reason : error),
  )

describe('without a DNS query', () => {
  test.each([
    ['93.184.216.34', ['93.184.216.34']],
    ['[2606:4700::1111]', ['2606:4700::1111']],
    ['::1', ['::1']],
    ['localhost', ['127.0.0.1', '::1']],
    ['LocalHost.', ['127.0.0.1', '::1']],
    ['shop.localhost', ['127.0.0.1', '::1']],
  ])('%s is %j', async (host, addresses) => {
    expect(await resolver().resolve(host)).toEqual(addresses)
    expect(dns.questions).toEqual([])
  })

  test('the hosts file comes first, is read again when it changes, and may be missing', async () => {
    dns.answer('named.test', ['93.184.216.1'])
    const { resolve } = resolver()
    writeFileSync(
      hostsFile,
      '# named.test\n10.0.0.9\tother.test Named.Test # mine\n10.0.0.9 named.test\nbad named.test\n',
    )
    expect(await resolve('NAMED.test.')).toEqual(['10.0.0.9'])
    writeFileSync(hostsFile, 'fd00::1 named.test\n10.0.0.10 named.test')
    await expect.poll(() => resolve('named.test'), eventually).toEqual(['fd00::1', '10.0.0.10'])
    expect(dns.questions).toEqual([])
    rmSync(hostsFile)
    await expect.poll(() => resolve('named.test'), eventually).toEqual(['93.184.216.1'])
  })
})

describe('with the name server', () => {
  test('all addresses of both families are returned', async () => {
    dns.answer('both.test', ['93.184.216.1', '93.184.216.2', '2606:4700::1', '::ffff:10.0.0.1'])
    expect(await resolver().resolve('both.test')).toEqual([
      '93.184.216.1',
      '93.184.216.2',
      '2606:4700::1',
      '::ffff:10.0.0.1',
    ])
  })

  test('one family is enough, for any result of the other', async () => {
    for (const other of [[], 'no such name', 'failure', 'silence'] as const) {
      dns.answer('half.test', (family) => (family === 4 ? ['93.184.216.1'] : (other as 'silence')))
      expect(await resolver().resolve('half.test')).toEqual(['93.184.216.1'])
    }
  })

  test.each([
    ['not_found', 'no such name'],
    ['not_found', []],
    ['failed', 'failure'],
    ['timeout', 'silence'],
  ] as const)('the error is %s after %j', async (reason, response) => {
    dns.answer('bad.test', response as 'silence')
    expect(await reasonOf(resolver().resolve('bad.test'))).toBe(reason)
  })

  test.each(['a..b', 'x'.repeat(64), '*', 'exa mple', 'ü.test', '.'])('"%s" is not found', async (name) => {
    expect(await reasonOf(resolver().resolve(name))).toBe('not_found')
  })

  test('a missing name server is a failure within the deadline', async () => {
    const gone = await startDnsServer()
    await gone.close()
    const { resolve } = createResolver({ servers: [gone.address], timeoutMs: 600, hostsFile })
    expect(['failed', 'timeout']).toContain(await reasonOf(resolve('any.test')))
  })

  test('a lookup ends at its deadline, and delays no other lookup', async () => {
    dns.answer('fine.test', ['93.184.216.1'])
    const timeoutMs = 2000
    const { resolve } = resolver(timeoutMs)
    const startedAt = performance.now()
    let isOver = false
    const silent = Array.from({ length: 50 }, async (_, index) => {
      dns.answer(`silent-${index}.test`, 'silence')
      const reason = await reasonOf(resolve(`silent-${index}.test`))
      isOver = true
      return reason
    })
    expect(await resolve('fine.test')).toEqual(['93.184.216.1'])
    expect(isOver).toBe(false)
    expect(new Set(await Promise.all(silent))).toEqual(new Set(['timeout']))
    // Concurrently, not one after the other.
    expect(performance.now() - startedAt).toBeLessThan(2 * timeoutMs)
  })

  test('concurrent callers share one lookup; a failure is not reused', async () => {
    dns.answer('shared.test', ['93.184.216.1'])
    const { resolve } = resolver()
    await Promise.all([resolve('shared.test'), resolve('SHARED.test'), resolve('shared.test')])
    expect(dns.questions.sort()).toEqual(['A shared.test', 'AAAA shared.test'])
    dns.answer('shared-failure.test', 'no such name')
    expect(await reasonOf(resolve('shared-failure.test'))).toBe('not_found')
    dns.answer('shared-failure.test', ['93.184.216.1'])
    expect(await resolve('shared-failure.test')).toEqual(['93.184.216.1'])
  })

  test('addresses are reused for a short time, then the name is resolved again', async () => {
    dns.answer('moving.test', ['93.184.216.1'])
    const { resolve } = resolver(600, 200)
    await resolve('moving.test')
    dns.answer('moving.test', ['93.184.216.2'])
    expect(await resolve('moving.test')).toEqual(['93.184.216.1'])
    await expect.poll(() => resolve('moving.test'), eventually).toEqual(['93.184.216.2'])
  })
})
