// A queue client whose first connection is refused pauses, connects afresh, and works once the server accepts it.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import path from 'node:path'
import {
  createDatabase,
  queryOn,
  queueBackends,
  runRedisCommand,
  startRedis,
  type TestRedis,
  waitFor,
} from '@sluice/testing'
import { afterAll, beforeAll, describe, expect, inject, type TestContext, test } from 'vitest'

/**
 * The built `openQueueing` in a process of its own: a spinning event loop must not take the test down with it. Its
 * clients connect for the first time on 'begin': three consumers and three producers, of one queue each.
 */
const program = `
  const { createLogger, openQueueing } = await import(process.env.CORE)
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = process.env
  const queueing = openQueueing({ databaseUrl, redisUrl, log: createLogger({ logLevel: 'warn' }, 'test') })
  const kinds = ['one', 'two', 'three'].map((queue) => ({ queue }))
  const enqueue = (kind) =>
    queueing.enqueue(kind, [{ id: kind.queue, delayMs: 0 }]).catch(() => setTimeout(enqueue, 200, kind))
  process.on('message', () => {
    for (const kind of kinds) {
      queueing.consume(kind, async (id) => void process.send({ handled: id }), { concurrency: 2 })
      enqueue(kind)
    }
  })
  process.on('SIGTERM', () => queueing.close().then(() => process.exit(0)))
  setInterval(() => process.send({ up: queueing.isReady(), cpuUs: process.cpuUsage().user }), 100)`

type OnTestFinished = TestContext['onTestFinished']

interface QueueProcess {
  child: ChildProcess
  handled: Set<string>
  reports: { up: boolean; cpuUs: number }[]
}

function startQueueProcess(onTestFinished: OnTestFinished, env: Record<string, string>): QueueProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { CORE: path.resolve(import.meta.dirname, '../../dist/index.js'), ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const handled = new Set<string>()
  const reports: QueueProcess['reports'] = []
  child.on('message', (message: { handled: string } & QueueProcess['reports'][number]) => {
    if (message.handled === undefined) reports.push(message)
    else handled.add(message.handled)
  })
  return { child, handled, reports }
}

/** Refuses the first connections for 2.5 s, then accepts: the process stays calm meanwhile, and works afterwards. */
async function expectRecovery(
  { child, handled, reports }: QueueProcess,
  refuse: () => Promise<unknown>,
  accept: () => Promise<unknown>,
): Promise<void> {
  await waitFor('the queue to respond', () => reports.at(-1)?.up)
  await refuse()
  child.send('begin')
  const atFirst = reports.at(-1)!
  const count = reports.length
  await new Promise((resolve) => setTimeout(resolve, 2500))
  expect(handled.size).toBe(0)
  expect(reports.length - count, 'reports while the queue is away').toBeGreaterThan(5)
  expect((reports.at(-1)!.cpuUs - atFirst.cpuUs) / 2_500_000, 'share of a core').toBeLessThan(0.4)
  await accept()
  await waitFor('every job to be handled', () => handled.size === 3, { timeoutMs: 20_000 })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  expect(await exited).toBe(0)
}

describe.concurrent('on PostgreSQL', () => {
  test.for([
    ['too many connections', 'CONNECTION LIMIT 0', 'CONNECTION LIMIT -1'],
    ['a wrong password', "PASSWORD 'wrong'", "PASSWORD 'right'"],
    ['a role that may not log in', 'NOLOGIN', 'LOGIN'],
  ])('%s', async ([_cause, refusal, acceptance], { onTestFinished }) => {
    const database = await createDatabase(inject('postgresUrl'))
    const role = `test_${randomBytes(6).toString('hex')}`
    // A role with the owner's rights: limits do not bind a superuser.
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'right' IN ROLE postgres`)
    onTestFinished(async () => {
      await database.drop()
      await queryOn(inject('postgresUrl'))(`DROP ROLE ${role}`)
    })
    const endSessions = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1'
    const refuse = async () => {
      await database.query(`ALTER ROLE ${role} ${refusal}`)
      await database.query(endSessions, [role])
    }
    const accept = () => database.query(`ALTER ROLE ${role} ${acceptance}`)
    const url = Object.assign(new URL(database.url), { username: role, password: 'right' }).href
    await expectRecovery(startQueueProcess(onTestFinished, { DATABASE_URL: url }), refuse, accept)
  })

  test('a server that does not respond', async ({ onTestFinished }) => {
    const database = await createDatabase(inject('postgresUrl'))
    onTestFinished(database.drop)
    const proxy = await startProxy(new URL(database.url))
    onTestFinished(proxy.close)
    await expectRecovery(
      startQueueProcess(onTestFinished, { DATABASE_URL: proxy.url }),
      proxy.silence,
      proxy.resume,
    )
  })
})

describe.skipIf(!queueBackends.find(({ backend }) => backend === 'redis')?.available)('on Redis', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.remove())

  test('a user without the permission for a command', async ({ onTestFinished }) => {
    const permit = (rule: string) => runRedisCommand(redis.url, ['ACL', 'SETUSER', 'default', rule])
    const queueProcess = startQueueProcess(onTestFinished, {
      DATABASE_URL: 'postgres://unused',
      REDIS_URL: redis.url,
    })
    await expectRecovery(
      queueProcess,
      () => permit('-info'),
      () => permit('+info'),
    )
  })

  test('a user without the permission for scripts', async ({ onTestFinished }) => {
    const permit = (rule: string) => runRedisCommand(redis.url, ['ACL', 'SETUSER', 'default', rule])
    const queueProcess = startQueueProcess(onTestFinished, {
      DATABASE_URL: 'postgres://unused',
      REDIS_URL: redis.url,
    })
    await expectRecovery(
      queueProcess,
      () => permit('-@scripting'),
      () => permit('+@scripting'),
    )
  })
})

/** Forwards connections; while silent, it breaks the open ones and accepts new ones without a response. */
async function startProxy(target: URL) {
  let silent = false
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    const upstream = silent ? undefined : net.connect(Number(target.port), target.hostname)
    for (const end of [socket, upstream]) {
      if (end === undefined) continue
      sockets.add(end)
      end.on('error', () => {}).on('close', () => sockets.delete(end))
    }
    if (upstream !== undefined) socket.pipe(upstream).pipe(socket)
  })
  const breakAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  return {
    url: Object.assign(new URL(target), { hostname: '127.0.0.1', port: String(port) }).href,
    async silence() {
      silent = true
      breakAll()
    },
    async resume() {
      silent = false
    },
    close() {
      breakAll()
      server.close()
    },
  }
}
