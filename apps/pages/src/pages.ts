// Serves the app's built files as they are at start; every other navigation gets index.html.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import fastifyStatic from '@fastify/static'
import { SluiceError, StartupError } from '@sluice/core/platform'
import { noRoute } from '@sluice/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServerDeps } from './deps.ts'
import { API_PREFIX } from './proxy.ts'

/** Vite puts a hash of the content into the names of these files. */
const HASHED_PREFIX = '/assets/'
const FOR_EVER = 'public, max-age=31536000, immutable'

/** On the root instance, because its not-found handler covers all routes. */
export async function pageRoutes(app: FastifyInstance, { folder, config }: ServerDeps): Promise<void> {
  const index = readIndex(folder, config.publicApiUrl)
  const sendIndex = (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers({ etag: index.etag, 'cache-control': 'no-cache' })
    if (request.headers['if-none-match']?.includes(index.etag)) return reply.status(304).send()
    return reply.type('text/html; charset=utf-8').send(index.html)
  }

  app.get('/', sendIndex)
  app.get('/index.html', sendIndex)
  await app.register(fastifyStatic, {
    root: folder,
    wildcard: false, // a route for each file, so no path is looked up on the disk
    index: false,
    globIgnore: ['index.html'],
    decorateReply: false,
    cacheControl: false,
    setHeaders(reply, file) {
      const isHashed = file.startsWith(path.join(folder, HASHED_PREFIX))
      reply.header('cache-control', isHashed ? FOR_EVER : 'no-cache')
    },
  })
  app.setNotFoundHandler(async (request, reply) => {
    const pathname = decodeURIComponent(request.url.split('?')[0] ?? '')
    if (leavesTheRoot(pathname))
      throw new SluiceError('BAD_REQUEST_ERROR', 'The path must stay inside the pages')
    if (!isNavigation(request) || isReserved(pathname)) throw noRoute()
    // Browsers request it on their own, and log an error if it is missing.
    if (pathname === '/favicon.ico') return reply.status(204).header('cache-control', 'no-cache').send()
    return sendIndex(request, reply)
  })
}

/** @throws StartupError */
function readIndex(folder: string, publicApiUrl: string): { html: string; etag: string } {
  const file = path.join(folder, 'index.html')
  let template: string
  try {
    template = readFileSync(file, 'utf8')
  } catch {
    throw new StartupError(`${file} is not there: build the pages first (npm run build).`)
  }
  const html = template.replaceAll('%PUBLIC_API_URL%', () => escapeHtml(publicApiUrl))
  return { html, etag: `"${createHash('sha256').update(html).digest('base64url')}"` }
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] ?? '')

const leavesTheRoot = (pathname: string) =>
  pathname.includes('\0') || path.posix.normalize(`.${pathname.replaceAll('\\', '/')}`).startsWith('..')

const isReserved = (pathname: string) =>
  pathname.startsWith(HASHED_PREFIX) || pathname === API_PREFIX || pathname.startsWith(`${API_PREFIX}/`)

const isNavigation = ({ method, headers }: FastifyRequest) =>
  (method === 'GET' || method === 'HEAD') && /text\/html|\*\/\*/.test(headers.accept ?? '*/*')
