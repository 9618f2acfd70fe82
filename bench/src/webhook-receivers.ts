// Merchants' endpoints in a process of their own: some that answer 200 at once and note when each webhook came, one that
// takes requests and keeps silent, and a name server that keeps silent too.
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { startDnsServer } from '@sluice/testing'
import type { Arrival, ReceiversAnswer, ReceiversQuestion } from './receivers.ts'

const HEALTHY_COUNT = 8
const SILENT_NAME = 'silent.test'

let arrivals: Arrival[] = []

/** A port of its own for each: connections are kept by origin. */
async function startHealthy(): Promise<string> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const at = performance.timeOrigin + performance.now()
    request.resume().on('end', () => {
      arrivals.push([String(request.headers['webhook-id']), at])
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('OK')
    })
  })
  return listen(server)
}

async function listen(server: net.Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/webhook`
}

const healthyUrls = await Promise.all(Array.from({ length: HEALTHY_COUNT }, startHealthy))
const mute = net.createServer((socket) => socket.on('error', () => {}).resume())
const muteUrl = await listen(mute)
const nameServer = await startDnsServer()
nameServer.answer(SILENT_NAME, 'silence')

function answer(question: ReceiversQuestion): ReceiversAnswer {
  if (question === 'endpoints') {
    return {
      healthyUrls,
      muteUrl,
      namelessUrl: `http://${SILENT_NAME}/webhook`,
      nameServer: nameServer.address,
    }
  }
  const taken = arrivals
  arrivals = []
  return taken
}

process.on('message', (question: ReceiversQuestion) => process.send?.(answer(question)))
process.on('SIGINT', () => {}) // the benchmark ends us, in its own order
process.on('disconnect', () => process.exit())
process.send?.({ type: 'ready' })
