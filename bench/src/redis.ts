// A Redis server of the benchmark's own, if this machine has one; nothing in it needs to survive.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { freePort } from '@sluice/embedded-postgres'
import type { Janitor } from './janitor.ts'

const READY_WITHIN_MS = 5000

export function findRedisServer(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, 'redis-server')
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // the next folder
    }
  }
  return undefined
}

export async function startRedis(
  janitor: Janitor,
  binary: string,
  folder: string,
): Promise<{ url: string; pid: number }> {
  const port = await freePort()
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
  const child = spawn(binary, args, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  janitor.defer(() => {
    child.kill('SIGKILL') // it holds nothing worth saving
    return exited
  })
  const deadline = Date.now() + READY_WITHIN_MS
  while (!(await answersPing(port))) {
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error(`${binary} did not start on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid! }
}

/** Empties the server, between two systems that would otherwise share queues. */
export async function flushRedis(url: string): Promise<void> {
  await command(Number(new URL(url).port), 'FLUSHALL')
}

const answersPing = (port: number) =>
  command(port, 'PING').then(
    (answer) => answer.startsWith('+PONG'),
    () => false,
  )

/** One inline command of Redis' protocol; a client library would be a dependency for two words. */
async function command(port: number, line: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.end(`${line}\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.toString('latin1')
  } finally {
    socket.destroy()
  }
}
