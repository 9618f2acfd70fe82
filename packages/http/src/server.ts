// The Fastify server that every process of Sluice listens with.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Logger, requestIds } from '@sluice/core/platform'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import {
  refuseExpectation,
  respondToErrors,
  respondToFrameworkErrors,
  respondToParserErrors,
} from './problems.ts'

interface HttpServerOptions extends Pick<FastifyServerOptions, 'bodyLimit' | 'routerOptions' | 'trustProxy'> {
  log: Logger
}

/** Until a whole request has arrived; Fastify's default is unlimited. */
const REQUEST_TIMEOUT_MS = 30_000

export function createHttpServer({ log, ...options }: HttpServerOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...options,
    // Fastify's own logging would create a logger and two listeners for each request.
    logger: false,
    // Node's own response to a request without Host would have an empty body.
    http: { requireHostHeader: false },
    genReqId: requestIds(),
    requestIdHeader: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // While stopping, requests on open connections still get responses, then the connections close.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: respondToFrameworkErrors(log),
    clientErrorHandler: respondToParserErrors,
  })
  app.server.on('checkExpectation', refuseExpectation)
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A too large body gets no 100: its sender could miss the response, because the connection closes.
    const isTooLarge = Number(request.headers['content-length']) > app.initialConfig.bodyLimit!
    if (!isTooLarge) response.writeContinue()
    app.server.emit('request', request, response)
  })
  respondToErrors(app, log)
  closeIdleConnections(app)
  return app
}

const CLOSE_IDLE_INTERVAL_MS = 100

/** Node's server.close() waits for every connection that is not idle, and does not recognise all idle ones. */
function closeIdleConnections(app: FastifyInstance): void {
  const server = app.server as Server
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  let timer: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    // Browsers and load balancers open connections early; Node does not count unused connections as idle.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    // A connection with a request in flight becomes idle only after the response.
    timer = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_INTERVAL_MS)
  })
  app.addHook('onClose', async () => clearInterval(timer))
}
