// Idempotency keys: the claim of a key, the work and its stored answer are one commit, so that a request which is sent again has one effect and one answer, byte for byte.
import { createHash } from 'node:crypto'
import { stringify } from 'safe-stable-stringify'
import type { Database, Tx } from './database.ts'
import { SluiceError } from './errors.ts'

/** An answer as it goes onto the wire. */
export interface Answer {
  status: number
  /** JSON; sent, and stored, as it is. */
  body: string
}

/** A request that carries an Idempotency-Key. */
export interface KeyedRequest {
  key: string
  method: string
  /** What the request is for, however its path spells it. */
  target: unknown
}

export interface Claim {
  merchantId: string
  /** '' for the merchant's own keys, the order's id for those of its payers. */
  scope: string
  key: string
  /** SHA-256 (hex) of what makes two requests the same. */
  fingerprint: string
}

/**
 * The claim of a request's key, if it has one. What is sent again is the same request when method, target and `body` are:
 * a body reduced to what may be kept, without card data. The order of keys is nothing in JSON, at any depth.
 */
export const claimOf = (
  request: KeyedRequest | undefined,
  { merchantId, scope = '', body }: { merchantId: string; scope?: string; body: unknown },
): Claim | undefined =>
  request && {
    merchantId,
    scope,
    key: request.key,
    fingerprint: createHash('sha256')
      .update(stringify([request.method, request.target, body]))
      .digest('hex'),
  }

const KEY_LIVES_HOURS = 24

/** Parts the locks of keys from other advisory locks. */
const LOCK_CLASS = 'idempotency'

/**
 * Does `work` in one transaction; with a claim, once for its key. The same request again is answered as the first one
 * was (`replayed`). Only answers are stored, never errors: `work` throws those, and nothing of it remains.
 * @throws CONFLICT_ERROR at once while the first request runs, BAD_REQUEST_ERROR when the key was used for another one
 */
export function once(
  db: Database,
  claim: Claim | undefined,
  work: (tx: Tx, afterCommit: (effect: () => void) => void) => Promise<Answer>,
): Promise<Answer & { replayed: boolean }> {
  return db.atomically(async (tx, afterCommit) => {
    const stored = claim === undefined ? undefined : await claimKey(tx, claim)
    if (stored !== undefined) return { ...stored, replayed: true }
    const answer = await work(tx, afterCommit)
    if (claim !== undefined) await storeAnswer(tx, claim, answer)
    return { ...answer, replayed: false }
  })
}

/** The answer that is stored for the key; undefined when the key is ours to use. */
async function claimKey(tx: Tx, claim: Claim): Promise<Answer | undefined> {
  const { merchantId, scope, key } = claim
  // Not waited for: whoever waited would hold a connection for as long as the first request runs.
  const [lock] = await tx.query<{ is_ours: boolean }>({
    name: 'lock-idempotency-key',
    text: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS is_ours',
    values: [JSON.stringify([LOCK_CLASS, merchantId, scope, key])],
  })
  if (!lock!.is_ours) {
    throw new SluiceError('CONFLICT_ERROR', 'The first request with this Idempotency-Key is still running')
  }
  const [known] = await tx.query<{ fingerprint: string; status: number; body: string }>({
    name: 'find-idempotency-key',
    text: `
      SELECT fingerprint, status, response::text AS body FROM idempotency_keys
      WHERE merchant_id = $1 AND scope = $2 AND key = $3 AND expires_at > now()`,
    values: [merchantId, scope, key],
  })
  if (known === undefined) return undefined
  if (known.fingerprint !== claim.fingerprint) {
    throw new SluiceError(
      'BAD_REQUEST_ERROR',
      'This Idempotency-Key was used for another request; use a new key for each request, and the same one only to send it again',
      { field: 'Idempotency-Key' },
    )
  }
  return { status: known.status, body: known.body }
}

/** In place of an expired one, if there is one. */
async function storeAnswer(tx: Tx, claim: Claim, { status, body }: Answer): Promise<void> {
  await tx.query({
    name: 'store-idempotent-answer',
    text: `
      INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, status, response, expires_at)
      VALUES ($1, $2, $3, $4, $5, $6, now() + interval '${KEY_LIVES_HOURS} hours')
      ON CONFLICT (merchant_id, scope, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, status = excluded.status, response = excluded.response,
          created_at = now(), expires_at = excluded.expires_at`,
    values: [claim.merchantId, claim.scope, claim.key, claim.fingerprint, status, body],
  })
}
