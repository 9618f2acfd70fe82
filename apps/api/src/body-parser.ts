// Parses JSON bodies and keeps their raw bytes: inbound events are stored byte for byte.
import { isUtf8 } from 'node:buffer'
import { SluiceError } from '@sluice/core'
import type { FastifyRequest } from 'fastify'
import type { App } from './deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as received, valid UTF-8; empty without a body. */
    rawBody: Buffer
    /** When the body was complete, by performance.now(); 0 without a body. */
    bodyAtMs: number
  }
}

/** Accepts `application/json` only, otherwise 415. Refuses bytes that are not UTF-8: decoding would change ids silently. */
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
      // Many clients send a content type without a body; the contract decides whether a body is required.
      if (body.length === 0) {
        done(null)
        return
      }
      // The parser's own message quotes the body, and errors end up in logs and traces.
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
