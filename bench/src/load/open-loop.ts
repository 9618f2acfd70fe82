// The open loop: arrivals on a schedule, whatever comes back. Our own, because autocannon has no schedule: its rates
// are a quota that it sends off at the start of each second, and it counts latency from the sending, not from when a
// request was due.

import { Sample } from '../stats.ts'
import { requestsOf } from './bodies.ts'
import { Connection } from './connection.ts'
import type { LoadResult, LoadTarget, OpenArrivals } from './plan.ts'
import { builtRequests, type RequestBytes, transactionRequests } from './request-bytes.ts'

const ANSWER_WITHIN_MS = 10_000
const CONNECT_WITHIN_MS = 10_000
const TICK_MS = 1

export async function openLoop(target: LoadTarget, arrivals: OpenArrivals): Promise<LoadResult> {
  const { ratePerSecond, count, bodies = 'transactions' } = arrivals
  const requests = requestsOf(bodies, target.run)
  const url = new URL(target.url)
  const latencies = new Sample()
  const otherStatuses: Record<string, number> = {}
  const unacknowledged: number[] = []
  const cpuBefore = process.cpuUsage()
  const idle: Connection[] = []
  const requestBytes = new Map<Connection, RequestBytes>()
  let sent = 0
  let acknowledged = 0
  let lost = 0
  let inFlight = 0
  let started = false
  let startedAt = 0
  let settled = () => {}

  const nextDueAt = () => startedAt + (sent * 1000) / ratePerSecond
  const isDue = () => sent < count && nextDueAt() <= performance.now()

  function post(connection: Connection): void {
    const bytes = requestBytes.get(connection)!(sent)
    connection.startedAt = nextDueAt()
    connection.sequence = sent++
    inFlight++
    connection.send(bytes)
  }

  /** Sends if a request is due, else the connection waits its turn. */
  function ready(connection: Connection): void {
    if (started && isDue()) post(connection)
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
      if (status === requests.acknowledgedBy) acknowledged++
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

  const address = { host: url.hostname, port: Number(url.port) }
  const connections = Array.from({ length: target.connections }, () => new Connection(address, events))
  for (const connection of connections) {
    requestBytes.set(
      connection,
      bodies === 'transactions' ? transactionRequests(target) : builtRequests(target, requests),
    )
    connection.open()
  }
  await until(() => idle.length === connections.length, CONNECT_WITHIN_MS, `connect to ${url.host}`)

  started = true
  startedAt = performance.now()
  await new Promise<void>((finished) => {
    const tick = () => {
      if (sent >= count) return finished()
      while (idle.length > 0 && isDue()) {
        const connection = idle.pop()!
        if (connection.idle) post(connection) // else lost meanwhile
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
