// The process of the merchants' endpoints: some respond 200 and record arrivals; one and a name server never respond.
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { startDnsServer } from '@sluice/testing'
import type { Arrival, ReceiversReply, ReceiversRequest } from './receivers.ts'

const HEALTHY_COUNT = 8
const SILENT_NAME = 'silent.test'

let arrivals: Arrival[] = []

/** Each has a port of its own: the worker keeps connections by origin. */
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

function replyTo(request: ReceiversRequest): ReceiversReply {
  if (request === 'endpoints') {
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

process.on('message', (request: ReceiversRequest) => process.send?.(replyTo(request)))
process.on('SIGINT', () => {}) // the benchmark stops this process
process.on('disconnect', () => process.exit())
process.send?.({ type: 'ready' })
