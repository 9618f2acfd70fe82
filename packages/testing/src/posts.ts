// POST requests with an Idempotency-Key, and their responses as text, for comparisons byte by byte.

import { seededKeys } from './gateway.ts'
import { untilKnown } from './responses.ts'

interface PostResponse {
  status: number
  /** The body, not parsed. */
  text: string
  type: string | null
  replayed: string | null
  retryAfter: string | null
}

export interface Post {
  path: string
  body: object | string
  /** The seeded merchant's keys by default. */
  headers?: Record<string, string>
  key?: string | undefined
  /** An API process other than the first one. */
  api?: { url: string }
}

/** Posts to an API: `sendOnce` returns any response; `send` repeats a request with a key after a 503. */
export function openPosts(first: { url: string }) {
  async function sendOnce({
    path,
    body,
    headers = seededKeys,
    key,
    api = first,
  }: Post): Promise<PostResponse> {
    const response = await fetch(api.url + path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return {
      status: response.status,
      text: await response.text(),
      type: response.headers.get('content-type'),
      replayed: response.headers.get('idempotent-replayed'),
      retryAfter: response.headers.get('retry-after'),
    }
  }

  const send = (post: Post): Promise<PostResponse> =>
    post.key === undefined ? sendOnce(post) : untilKnown(() => sendOnce(post))

  return { send, sendOnce }
}

/** The error of a response, with its status. */
export const errorOf = ({ status, text }: PostResponse) => ({ status, ...JSON.parse(text).error })
