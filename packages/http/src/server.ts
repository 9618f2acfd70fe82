// A Fastify server as all our processes run it.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Logger, requestIds } from '@sluice/core/platform'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { answerErrors, answerFrameworkErrors, answerParserErrors, refuseExpectation } from './problems.ts'

interface HttpServerOptions extends Pick<FastifyServerOptions, 'bodyLimit' | 'routerOptions' | 'trustProxy'> {
  log: Logger
}

/** For a whole request to arrive; Fastify's default is for ever. */
const REQUEST_TIMEOUT_MS = 30_000

export function createHttpServer({ log, ...options }: HttpServerOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...options,
    // Fastify's own logging would make a logger and two listeners for each request; what is logged is logged by hand.
    logger: false,
    // Node would answer requests without Host by itself, with an empty body.
    http: { requireHostHeader: false },
    genReqId: requestIds(),
    requestIdHeader: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // While stopping, requests on connections that are open already are answered, then those close.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: answerFrameworkErrors(log),
    clientErrorHandler: answerParserErrors,
  })
  app.server.on('checkExpectation', refuseExpectation)
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A body that is too large is not asked for: who sends it may miss the answer when the connection is closed on it.
    const isTooLarge = Number(request.headers['content-length']) > app.initialConfig.bodyLimit!
    if (!isTooLarge) response.writeContinue()
    app.server.emit('request', request, response)
  })
  answerErrors(app, log)
  closeIdleConnections(app)
  return app
}

const CLOSE_IDLE_INTERVAL_MS = 100

/** Node's server.close() waits for every connection but idle ones, and knows fewer of those than there are. */
function closeIdleConnections(app: FastifyInstance): void {
  const server = app.server as Server
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  let timer: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    // Browsers and load balancers open connections ahead of need; those that were never used are not idle to Node.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    // Connections whose last request was in flight when the closing began are idle only after its answer.
    timer = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_INTERVAL_MS)
  })
  app.addHook('onClose', async () => clearInterval(timer))
}
