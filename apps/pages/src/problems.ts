// Every error of the page server itself, Fastify's and the HTTP parser's included, as the one shape of SPEC 2.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorBody, type ErrorCode, errorStatus } from '@sluice/contracts'
import { type Logger, SluiceError } from '@sluice/core'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Seconds after which a 503 is worth another try. */
const RETRY_AFTER_SECONDS = '1'
const JSON_TYPE = 'application/json; charset=utf-8'

export function answerErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(error, request, reply, log))
}

/** Errors that Fastify meets before it has found a route, such as a path that cannot be decoded. */
export const answerFrameworkErrors =
  (log: Logger) =>
  (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    answerError(error, request, reply, log)
  }

/** Errors of the HTTP parser: there is no request yet, only a socket. */
export function answerParserErrors(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return
  // A connection that was opened and never used: there is no request to answer.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) return void socket.destroy()
  const text = body(
    'BAD_REQUEST_ERROR',
    'The request is not valid HTTP/1.1, too large in its header or too slow',
  )
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  )
}

/** An `Expect` header other than 100-continue, which Node would answer by itself, with an empty body. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const text = body('BAD_REQUEST_ERROR', 'The Expect header must be 100-continue, or be left out')
  response.writeHead(400, { 'content-type': JSON_TYPE, connection: 'close' }).end(text)
}

export const notHere = (request: FastifyRequest) =>
  new SluiceError('NOT_FOUND_ERROR', `There is nothing at ${request.method} ${request.url.split('?')[0]}`)

function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply, log: Logger) {
  const { code, description } = problemOf(error)
  if (code === 'INTERNAL_ERROR')
    log.error({ err: error, route: request.routeOptions.url }, 'unexpected error')
  else if (code === 'SERVICE_UNAVAILABLE') {
    log.debug({ err: error }, 'unavailable')
    reply.header('retry-after', RETRY_AFTER_SECONDS)
  }
  return reply.status(errorStatus[code]).type(JSON_TYPE).send(body(code, description))
}

function problemOf(error: FastifyError): { code: ErrorCode; description: string } {
  if (error instanceof SluiceError) return { code: error.code, description: error.message }
  if (error.code === 'FST_ERR_BAD_URL') {
    return { code: 'BAD_REQUEST_ERROR', description: 'The path is not valid percent-encoded UTF-8' }
  }
  if (error.statusCode === 415) return { code: 'UNSUPPORTED_MEDIA_TYPE', description: error.message }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return { code: 'BAD_REQUEST_ERROR', description: error.message }
  }
  return { code: 'INTERNAL_ERROR', description: 'Something went wrong on our side' }
}

const body = (code: ErrorCode, description: string) =>
  JSON.stringify({ error: { code, description } } satisfies ErrorBody)
