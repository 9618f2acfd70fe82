// JSON bodies, with the raw bytes beside the parsed value: inbound deliveries are stored as they came.
import { isUtf8 } from 'node:buffer'
import { SluiceError } from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import type { App } from './app.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as they were sent, valid UTF-8; empty when there was none. */
    rawBody: Buffer
  }
}

/** Accepts `application/json` only; anything else is 415. Refuses bytes that are no UTF-8, which would change ids silently. */
export function parseJsonBodies(app: App): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.decorateRequest('rawBody')
  app.removeContentTypeParser(['text/plain', 'application/json'])
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void) => {
      // Many clients say what a body would be where there is none.
      if (body.length === 0 && request.routeOptions.schema?.body === undefined) {
        done(null)
        return
      }
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
      // The parser's own message quotes the body, and errors end in logs and traces.
      parseJson(request, body.toString('utf8'), (error, value) =>
        error === null ? done(null, value) : done(invalidJson()),
      )
    },
  )
}

const invalidJson = () =>
  new SluiceError(
    'BAD_REQUEST_ERROR',
    'The body must be valid JSON, without keys such as __proto__ or constructor.prototype',
  )
