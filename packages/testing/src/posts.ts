// POST requests with an Idempotency-Key, and their answers as they came, to be compared byte for byte.
import { untilKnown } from './answers.ts'
import { seededKeys } from './gateway.ts'

interface SentAnswer {
  status: number
  /** As it came. */
  text: string
  type: string | null
  replayed: string | null
  retryAfter: string | null
}

export interface Post {
  path: string
  body: object | string
  /** The seeded merchant's keys, unless told otherwise. */
  headers?: Record<string, string>
  key?: string | undefined
  /** Another process than the first one. */
  api?: { url: string }
}

/** Posts to an API: `sendOnce`, whatever the answer is; `send` sends again, with its key, what a busy machine answered 503. */
export function openPosts(first: { url: string }) {
  async function sendOnce({ path, body, headers = seededKeys, key, api = first }: Post): Promise<SentAnswer> {
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

  const send = (post: Post): Promise<SentAnswer> =>
    post.key === undefined ? sendOnce(post) : untilKnown(() => sendOnce(post))

  return { send, sendOnce }
}

/** What an error says, with its status. */
export const errorOf = ({ status, text }: SentAnswer) => ({ status, ...JSON.parse(text).error })
