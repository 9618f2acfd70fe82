// Starts a real redis-server for one test, which may flush, stop and restart it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { freePort } from '@sluice/embedded-postgres'
import { Redis } from 'ioredis'
import { waitFor } from './wait.ts'

/** Tests that need Redis are reported as skipped where there is no redis-server. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

export interface TestRedis {
  url: string
  flush: () => Promise<void>
  /** Ends the server, by default with SIGKILL, so that it saves nothing. */
  stop: (signal?: NodeJS.Signals) => Promise<void>
  /** Starts it again on the same port, empty. */
  start: () => Promise<void>
  /** Stops it and removes its files. */
  remove: () => Promise<void>
}

export async function startRedis(): Promise<TestRedis> {
  const port = await freePort()
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-redis-'))
  const url = `redis://127.0.0.1:${port}`
  let server: ChildProcess | undefined

  async function start(): Promise<void> {
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
      '--appendonly',
      'no',
    ]
    server = spawn('redis-server', args, { stdio: 'ignore' })
    await waitFor('redis-server to respond', () => withClient(url, (client) => client.ping()))
  }

  async function stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill(signal)
    await exited
  }

  await start()
  return {
    url,
    start,
    stop,
    flush: () => withClient(url, (client) => client.flushall()).then(() => {}),
    async remove() {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return await work(client)
  } finally {
    client.disconnect()
  }
}
