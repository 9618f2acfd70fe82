// Kept connections: they are reused and soon closed; a stale one costs no attempt and causes no second request.
import {
  type MisbehavingServer,
  type MisbehaviourName,
  misbehaviours,
  startMisbehavingServer,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOutbound } from './outbound-http.ts'

const request = { headers: {}, body: '{}' }
let server: MisbehavingServer

const open = () => createOutbound({ allowPrivate: true, deadlineMs: 700 })
const outbound = open()

beforeAll(async () => {
  server = await startMisbehavingServer()
})
afterAll(async () => {
  await outbound.close()
  await server.close()
})

const classOf = async (url: string, by = outbound) => {
  const result = await by.post(url, request)
  return result.is === 'failed' ? result.error : result.status
}

describe('kept connections', () => {
  test('are reused, for one request at a time, and closed within two seconds', async () => {
    const own = open()
    const before = server.connections()
    for (let times = 0; times < 5; times += 1) expect(await classOf(server.url('ok'), own)).toBe(200)
    expect(server.connections()).toBe(before + 1)
    await Promise.all(Array.from({ length: 5 }, () => classOf(server.url('ok'), own)))
    expect(server.connections()).toBe(before + 5)
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    expect(await classOf(server.url('ok'), own)).toBe(200)
    expect(server.connections()).toBe(before + 6)
    await own.close()
  })

  test.each(['close-when-idle', 'write-when-idle'] as const)('%s costs no attempt', async (name) => {
    const own = open()
    for (let times = 0; times < 3; times += 1) {
      expect(await classOf(server.url(name), own)).toBe(200)
      await waitFor('connections to end', () => server.openConnections() === 0)
    }
    await own.close()
  })

  test('a reset after the request was sent is an attempt: it is not sent again', async () => {
    const own = open()
    const before = server.requests.length
    expect(await classOf(server.url('reset-second-request'), own)).toBe(200)
    expect(await classOf(server.url('reset-second-request'), own)).toBe('reset')
    expect(server.requests.length).toBe(before + 2)
    await own.close()
  })

  test('the next request after any misbehaviour is complete', async () => {
    for (const name of Object.keys(misbehaviours) as MisbehaviourName[]) {
      // Misbehaviours that close a connection later may close it during the next request; they have their own tests.
      if (/hang|endless|bomb|idle|second/.test(name)) continue
      await classOf(server.url(name))
      expect([name, await classOf(server.url('ok'))]).toEqual([name, 200])
    }
  })
})

test('close waits for the posts in flight and leaves no connection open', async () => {
  const own = open()
  const posts = [own.post(server.url('ok'), request), own.post(server.url('hang-before-header'), request)]
  await own.close()
  expect((await Promise.all(posts)).map((result) => result.is)).toEqual(['responded', 'failed'])
})
