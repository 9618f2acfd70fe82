// For tests: a page server on a folder of its own, and an upstream server with the listener of the test.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http, { type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createLogger, createMetrics } from '@sluice/core/platform'
import type { ServerDeps } from './deps.ts'
import { buildServer } from './server.ts'

/** A URL without a listener. */
export const NOWHERE = 'http://127.0.0.1:1'
export const SCRIPT = 'console.log("the app")\n'

export interface Pages {
  url: string
  close: () => Promise<void>
}

interface PagesOptions extends Partial<Omit<ServerDeps, 'config'>> {
  apiUrl?: string
  publicApiUrl?: string
  trustProxy?: string[]
}

/** Serves an index.html, one hashed script and one other file. */
export async function startPages(options: PagesOptions = {}): Promise<Pages> {
  const { apiUrl = NOWHERE, publicApiUrl = 'https://api.example', trustProxy = [], ...rest } = options
  const above = mkdtempSync(path.join(os.tmpdir(), 'sluice-pages-'))
  const remove = () => rmSync(above, { recursive: true, force: true })
  const folder = path.join(above, 'dist')
  mkdirSync(path.join(folder, 'assets'), { recursive: true })
  writeFileSync(path.join(above, 'secret.txt'), 'secret')
  writeFileSync(path.join(folder, '.stamp'), 'hidden')
  writeFileSync(path.join(folder, 'index.html'), '<html data-api="%PUBLIC_API_URL%"></html>')
  writeFileSync(path.join(folder, 'assets/main-abc123.js'), SCRIPT)
  writeFileSync(path.join(folder, 'robots.txt'), 'User-agent: *\n')
  const app = await buildServer({
    folder,
    frameAncestors: "'none'",
    config: { apiUrl, publicApiUrl, trustProxy },
    metrics: createMetrics(),
    log: createLogger({ logLevel: 'silent' }, 'pages'),
    ...rest,
  }).catch((error) => {
    remove()
    throw error
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    async close() {
      await app.close()
      remove()
    },
  }
}

export async function startUpstream(listener: RequestListener) {
  const server = http.createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sends a request head unchanged, which fetch normalises, and returns the whole response. */
export function sendRaw(url: string, requestLine: string, headers: string[] = []): Promise<string> {
  const { port, host } = new URL(url)
  return new Promise((resolve, reject) => {
    let response = ''
    const lines = [`${requestLine} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...headers, '', '']
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(lines.join('\r\n')))
    socket.on('data', (chunk) => {
      response += chunk
    })
    socket.on('end', () => resolve(response))
    socket.on('error', reject)
  })
}
