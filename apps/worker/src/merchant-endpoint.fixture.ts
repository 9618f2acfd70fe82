// For tests: a merchant's endpoint that stores received requests, with responses set by the test.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  at: number
  path: string
  headers: http.IncomingHttpHeaders
  body: Buffer
  /** `webhook-id`. */
  id: string
}

const ok = (_received: Received, response: http.ServerResponse) => void response.end('OK')

/** Starts an endpoint that ends with its test. */
export async function startEndpoint(
  onTestFinished: (end: () => void) => void,
  respond: (received: Received, response: http.ServerResponse) => void = ok,
): Promise<{ received: Received[]; url: string }> {
  const received: Received[] = []
  const server = http.createServer(async (request, response) => {
    const at = Date.now()
    // A request whose sender ended before its last byte does not count.
    const chunks = await request.toArray().catch(() => undefined)
    if (chunks === undefined) return
    const { url: path = '', headers } = request
    const one = { at, path, headers, body: Buffer.concat(chunks), id: String(headers['webhook-id']) }
    received.push(one)
    respond(one, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook` }
}
