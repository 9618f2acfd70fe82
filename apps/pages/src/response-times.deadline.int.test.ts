// Times of the page server's responses and of its shutdown while the API is down or hangs, or a browser waits.
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { NOWHERE, startPages, startUpstream } from './pages.fixture.ts'
import { expectUnavailable, openStream, startProxy } from './proxy.fixture.ts'

describe('operation', () => {
  test('while the API is down, the page server is live and not ready', async () => {
    const pages = await startPages()
    onTestFinished(pages.close)
    const get = (path: string) => fetch(pages.url + path)
    expect((await get('/live')).status).toBe(200)
    const startedAt = Date.now()
    const health = await get('/health')
    expect(Date.now() - startedAt).toBeLessThan(1500)
    expect(health.status).toBe(503)
    expect(await health.json()).toMatchObject({ status: 'unhealthy', api: 'disconnected' })
  })

  test('the page server is ready while the API is live, and not ready within a second if the API hangs', async () => {
    let hangs = false
    const upstream = await startUpstream((request, response) => {
      if (!hangs) response.writeHead(request.url === '/base/live' ? 200 : 404).end()
    })
    const here = await startPages({ apiUrl: `${upstream.url}/base/` })
    const health = () => fetch(`${here.url}/health`)
    expect(await (await health()).json()).toMatchObject({ status: 'healthy', api: 'connected' })
    hangs = true
    const startedAt = Date.now()
    expect((await health()).status).toBe(503)
    expect(Date.now() - startedAt).toBeLessThan(2000)
    await here.close()
    await upstream.close()
  })

  test('an unused connection of a browser does not delay the shutdown', async () => {
    const here = await startPages()
    const socket = connect(Number(new URL(here.url).port), '127.0.0.1')
    await once(socket, 'connect')
    expect((await fetch(here.url)).status).toBe(200) // the server has accepted the other connection by now
    const startedAt = Date.now()
    await here.close()
    expect(Date.now() - startedAt).toBeLessThan(1000)
  })
})

describe('event streams', () => {
  test('end at once at shutdown, without an error', async () => {
    const { pages, reader, api } = await openStream()
    const upstreamClosed = once(api, 'close')
    const startedAt = Date.now()
    const closed = pages.close()
    expect((await reader.read()).done).toBe(true)
    await closed
    await upstreamClosed
    expect(Date.now() - startedAt).toBeLessThan(1000)
  })
})

describe('without the API', () => {
  test('the response is 503 at once, and pages are served', async () => {
    const pages = await startPages({ apiUrl: NOWHERE })
    onTestFinished(pages.close)
    const startedAt = Date.now()
    await expectUnavailable(await fetch(`${pages.url}/_api/payments`))
    await expectUnavailable(
      await fetch(`${pages.url}/_api/x`, { method: 'POST', body: Buffer.alloc(2 ** 20) }),
    )
    expect(Date.now() - startedAt).toBeLessThan(1000)
    expect((await fetch(`${pages.url}/payments`)).status).toBe(200)
  })

  test('an API that never responds is 503 in time', async () => {
    const pages = await startProxy(() => {}, { responseTimeoutMs: 300 })
    const startedAt = Date.now()
    await expectUnavailable(await fetch(`${pages.url}/_api/payments`))
    expect(Date.now() - startedAt).toBeLessThan(2000)
  })
})
