// The load generator's process: takes plans over IPC, posts transactions and answers with counts and latencies.

import { Sample } from '../stats.ts'
import { bodyTemplate, writeIdDigits } from '../transactions.ts'
import { Connection } from './connection.ts'
import type { GeneratorReply, LoadPlan, LoadResult } from './plan.ts'

const ANSWER_WITHIN_MS = 10_000
const CONNECT_WITHIN_MS = 10_000
const TICK_MS = 1

/** A request of this connection's own, whose id is overwritten for each use: at most one is in flight. */
function requestTemplate({ host, pathname }: URL, run: string): { bytes: Buffer; digitsAt: number } {
  const { body, digitsAt } = bodyTemplate(run)
  const head = `POST ${pathname} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
  return { bytes: Buffer.from(head + body), digitsAt: head.length + digitsAt }
}

async function execute(plan: LoadPlan): Promise<LoadResult> {
  const { arrivals } = plan
  const url = new URL(plan.url)
  const latencies = new Sample()
  const otherStatuses: Record<string, number> = {}
  const unacknowledged: number[] = []
  const cpuBefore = process.cpuUsage()
  const idle: Connection[] = []
  const templates = new Map<Connection, ReturnType<typeof requestTemplate>>()
  let sent = 0
  let acknowledged = 0
  let lost = 0
  let inFlight = 0
  let started = false
  let startedAt = 0
  let settled = () => {}

  const dueAt = (sequence: number) =>
    arrivals.kind === 'open' ? startedAt + (sequence * 1000) / arrivals.ratePerSecond : startedAt
  const mayStillSend = (now: number) =>
    arrivals.kind === 'open' ? sent < arrivals.count : now < startedAt + arrivals.durationMs

  function post(connection: Connection, at: number): void {
    const template = templates.get(connection)!
    writeIdDigits(template.bytes, template.digitsAt, sent)
    connection.sequence = sent++
    connection.startedAt = at
    inFlight++
    connection.send(template.bytes)
  }

  /** Sends if a request is due, else the connection waits its turn. */
  function ready(connection: Connection): void {
    if (!started) return void idle.push(connection)
    const now = performance.now()
    if (mayStillSend(now) && dueAt(sent) <= now)
      post(connection, arrivals.kind === 'open' ? dueAt(sent) : now)
    else idle.push(connection)
  }

  const settle = () => {
    inFlight--
    if (inFlight === 0) settled()
  }
  const events = {
    onReady: ready,
    onResponse(connection: Connection, status: number) {
      latencies.add(performance.now() - connection.startedAt)
      if (status === 202) acknowledged++
      else {
        otherStatuses[status] = (otherStatuses[status] ?? 0) + 1
        unacknowledged.push(connection.sequence)
      }
      settle()
    },
    onLost(connection: Connection) {
      lost++
      unacknowledged.push(connection.sequence)
      settle()
    },
  }

  const target = { host: url.hostname, port: Number(url.port) }
  const connections = Array.from({ length: plan.connections }, () => new Connection(target, events))
  for (const connection of connections) {
    templates.set(connection, requestTemplate(url, plan.run))
    connection.open()
  }
  await until(() => idle.length === connections.length, CONNECT_WITHIN_MS, `connect to ${url.host}`)

  started = true
  startedAt = performance.now()
  await new Promise<void>((finished) => {
    const tick = () => {
      const now = performance.now()
      if (!mayStillSend(now)) return finished()
      while (idle.length > 0 && mayStillSend(now) && dueAt(sent) <= now) {
        const connection = idle.pop()!
        if (connection.idle) post(connection, arrivals.kind === 'open' ? dueAt(sent) : now) // else lost meanwhile
      }
      setTimeout(tick, TICK_MS)
    }
    tick()
  })
  const acknowledgedPerSecond = (acknowledged * 1000) / (performance.now() - startedAt)

  // Whatever has no answer by now is lost, and closing its connection says so.
  const giveUp = setTimeout(() => closeAll(connections), ANSWER_WITHIN_MS)
  if (inFlight > 0) await new Promise<void>((resolve) => (settled = resolve))
  clearTimeout(giveUp)
  closeAll(connections)

  const cpu = process.cpuUsage(cpuBefore)
  return {
    sent,
    acknowledged,
    otherStatuses,
    lost,
    unacknowledged,
    acknowledgedPerSecond,
    latencyMs: latencies.summary(),
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

function closeAll(connections: Connection[]): void {
  for (const connection of connections) connection.close()
}

async function until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`The load generator could not ${what} within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const reply = (message: GeneratorReply) => process.send?.(message)

process.on('message', (plan: LoadPlan) => {
  execute(plan).then(
    (result) => reply({ type: 'done', result }),
    (error: Error) => reply({ type: 'failed', message: error.message }),
  )
})
process.on('SIGINT', () => {}) // Ctrl-C reaches the whole terminal group; the benchmark ends us in its own order
process.on('disconnect', () => process.exit())
reply({ type: 'ready' })
