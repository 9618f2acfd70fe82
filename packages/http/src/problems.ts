// Turns every error (of a verb, validation, Fastify or the HTTP parser) into the one error shape.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorBody, type ErrorCode, errorStatus } from '@sluice/contracts'
import { isUnavailable, type Logger, SluiceError } from '@sluice/core/platform'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** When to retry a 503, or a 409 of a request that is still running. */
const RETRY_AFTER_SECONDS = '1'

interface Problem {
  code: ErrorCode
  description: string
  field?: string | undefined
  reason?: string | undefined
}

export function respondToErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler<FastifyError>((error, request, reply) =>
    respond(problemOf(error, request), error, request, reply, log),
  )
}

/** For servers without pages of their own. */
export function refuseUnknownRoutes(app: FastifyInstance): void {
  app.setNotFoundHandler(async () => {
    throw noRoute()
  })
}

/** The error of an unknown route. It does not repeat the path, which is input and would end up in traces. */
export const noRoute = () => new SluiceError('NOT_FOUND_ERROR', 'No route has this method and path')

/** Errors before Fastify has found a route, such as a path that cannot be decoded. */
export const respondToFrameworkErrors =
  (log: Logger) =>
  (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    respond(problemOf(error, request), error, request, reply, log)
  }

/** Errors of the HTTP parser: there is no request yet, only a socket. */
export function respondToParserErrors(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return
  // A connection that was opened and never used has no request that needs a response.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) return void socket.destroy()
  const description =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'The request header is larger than 16 KiB'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'The request was not complete in time'
        : 'The request is not valid HTTP/1.1'
  const body = JSON.stringify({ error: { code: 'BAD_REQUEST_ERROR', description } } satisfies ErrorBody)
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

/** Refuses an `Expect` header other than 100-continue; Node's own response would have an empty body. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const description = 'The Expect header must be 100-continue, or be left out'
  const body = JSON.stringify({ error: { code: 'BAD_REQUEST_ERROR', description } } satisfies ErrorBody)
  response
    .writeHead(400, { 'content-type': 'application/json; charset=utf-8', connection: 'close' })
    .end(body)
}

function respond(
  problem: Problem,
  error: Error | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
) {
  const { code, description, field, reason } = problem
  if (code === 'INTERNAL_ERROR') log.error({ err: error, requestId: request.id }, 'unexpected error')
  else if (code === 'SERVICE_UNAVAILABLE') {
    log.debug({ err: error, requestId: request.id }, 'unavailable')
  }
  if (code === 'SERVICE_UNAVAILABLE' || code === 'CONFLICT_ERROR') {
    reply.header('retry-after', RETRY_AFTER_SECONDS)
  }
  const body: ErrorBody = {
    error: {
      code,
      description,
      ...(field === undefined ? {} : { field }),
      ...(reason === undefined ? {} : { reason }),
      request_id: request.id,
    },
  }
  return reply.status(errorStatus[code]).type('application/json; charset=utf-8').send(body)
}

/** Fastify's own errors, with the texts of this API. */
const frameworkProblems: Record<string, Problem> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'UNSUPPORTED_MEDIA_TYPE',
    description: 'The body must be JSON, sent with Content-Type: application/json',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'PAYLOAD_TOO_LARGE',
    description: 'The body must be at most 1 MiB (1,048,576 bytes)',
  },
  // Longer than any id, so the response is the one of an unknown id.
  FST_ERR_MAX_PARAM_LENGTH: { code: 'NOT_FOUND_ERROR', description: 'No id is this long' },
  FST_ERR_BAD_URL: {
    code: 'BAD_REQUEST_ERROR',
    description: 'The path is not valid: ids in paths must be percent-encoded UTF-8',
  },
}

function problemOf(error: FastifyError, { method }: FastifyRequest): Problem {
  if (error instanceof SluiceError) {
    return { code: error.code, description: error.message, field: error.field, reason: error.reason }
  }
  if (error.validation !== undefined) return validationProblem(error)
  const known = frameworkProblems[error.code]
  if (known !== undefined) return known
  if (isUnavailable(error)) {
    const isRead = method === 'GET' || method === 'HEAD'
    const description = isRead
      ? 'The database does not respond right now; try again'
      : 'The service cannot store this right now; send it again'
    return { code: 'SERVICE_UNAVAILABLE', description }
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return { code: 'BAD_REQUEST_ERROR', description: error.message }
  }
  return { code: 'INTERNAL_ERROR', description: 'Something went wrong on our side' }
}

/** The first problem: "amount must be a number …", with the schema's description of what is expected. */
function validationProblem(error: FastifyError): Problem {
  const first = error.validation?.[0]
  const missing = first?.keyword === 'required' ? String(first.params.missingProperty) : undefined
  const path = (first?.instancePath ?? '').split('/').slice(1).map(unescapePointer)
  if (missing !== undefined) path.push(missing)
  const unknown =
    first?.keyword === 'additionalProperties' ? String(first.params.additionalProperty) : undefined
  if (unknown !== undefined) path.push(unknown)
  const field = error.validationContext === 'headers' ? asHeaderName(path[0] ?? '') : path.join('.')
  const { parentSchema } = (first ?? {}) as { parentSchema?: { description?: string } }
  if (field === '') {
    return {
      code: 'BAD_REQUEST_ERROR',
      description: `The ${error.validationContext ?? 'body'} must be a JSON object`,
    }
  }
  if (missing !== undefined) return { code: 'BAD_REQUEST_ERROR', description: `${field} is required`, field }
  if (unknown !== undefined) {
    return { code: 'BAD_REQUEST_ERROR', description: `${field} is not a field of this request`, field }
  }
  const description = `${field} must be ${parentSchema?.description ?? first?.message?.replace(/^must be /, '')}`
  return { code: 'BAD_REQUEST_ERROR', description, field }
}

/** `Idempotency-Key`, which Node keeps as `idempotency-key`. */
const asHeaderName = (key: string) => key.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())

const unescapePointer = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~')
