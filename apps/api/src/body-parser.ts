// JSON bodies, with the raw bytes beside the parsed value: inbound deliveries are stored as they came.
import { isUtf8 } from 'node:buffer'
import { SluiceError } from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import type { App } from './deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as they were sent, valid UTF-8; empty when there was none. */
    rawBody: Buffer
    /** When the body was here, by performance.now(); 0 when there was none. */
    bodyAtMs: number
  }
}

/** Accepts `application/json` only; anything else is 415. Refuses bytes that are no UTF-8, which would change ids silently. */
export function parseJsonBodies(app: App): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.decorateRequest('rawBody')
  app.decorateRequest('bodyAtMs', 0)
  app.removeContentTypeParser(['text/plain', 'application/json'])
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void) => {
      request.bodyAtMs = performance.now()
      try {
        request.routeOptions.config.verifyBody?.(request, body)
      } catch (error) {
        done(error as Error)
        return
      }
      if (!isUtf8(body)) {
        done(
          new SluiceError('BAD_REQUEST_ERROR', 'The body must be JSON in UTF-8; these bytes are not UTF-8'),
        )
        return
      }
      request.rawBody = body
      // Many clients say what a body would be where there is none: whether there must be one, the contract says.
      if (body.length === 0) {
        done(null)
        return
      }
      // The parser's own message quotes the body, and errors end in logs and traces.
      parseJson(request, body.toString('utf8'), (error, value) =>
        error === null ? done(null, value) : done(invalidJson(error)),
      )
    },
  )
}

const invalidJson = ({ message }: Error) =>
  new SluiceError(
    'BAD_REQUEST_ERROR',
    /prototype/.test(message)
      ? 'The body must not have keys such as __proto__ or constructor.prototype'
      : 'The body must be valid JSON',
  )
