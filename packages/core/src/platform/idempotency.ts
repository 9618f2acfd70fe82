// Idempotency keys: the claim of a key, the work and its stored response are one commit (decision 0017).
import { createHash } from 'node:crypto'
import { stringify } from 'safe-stable-stringify'
import type { Database, Tx } from './database.ts'
import { SluiceError } from './errors.ts'
import type { CleanupTask } from './housekeeping.ts'

/** A response as the wire carries it and the key's row stores it. */
export interface StoredResponse {
  status: number
  /** JSON, byte for byte. */
  body: string
}

/** `replayed`: the response of an earlier request with the same key. */
export type KeyedResponse = StoredResponse & { replayed: boolean }

/** A request that carries an Idempotency-Key. */
export interface KeyedRequest {
  key: string
  method: string
  /** The object of the request, independent of the spelling of its path. */
  target: unknown
}

export interface KeyClaim {
  merchantId: string
  /** '' for the merchant's own keys, the order's id for those of its payers. */
  scope: string
  key: string
  /** SHA-256 (hex) of what makes two requests the same. */
  fingerprint: string
}

/**
 * The claim of a request's key, if it has one. Two requests are the same when method, target and `body` are equal.
 * `body` is reduced to what may be stored, without card data. The order of keys in JSON does not count, at any depth.
 */
export const keyClaimOf = (
  request: KeyedRequest | undefined,
  { merchantId, scope = '', body }: { merchantId: string; scope?: string; body: unknown },
): KeyClaim | undefined =>
  request && {
    merchantId,
    scope,
    key: request.key,
    fingerprint: createHash('sha256')
      .update(stringify([request.method, request.target, body]))
      .digest('hex'),
  }

const KEY_LIVES_HOURS = 24

/** Separates the locks of keys from other advisory locks. */
const LOCK_CLASS = 'idempotency'

/**
 * Does `work` in one transaction; with a claim, once for its key. A repeated request gets the first response
 * (`replayed`). Only responses are stored: when `work` throws an error, the whole transaction rolls back.
 * @throws CONFLICT_ERROR at once while the first request runs, BAD_REQUEST_ERROR when the key was used for another one
 */
export function once(
  db: Database,
  claim: KeyClaim | undefined,
  work: (tx: Tx, afterCommit: (effect: () => void) => void) => Promise<StoredResponse>,
): Promise<KeyedResponse> {
  return db.atomically(async (tx, afterCommit) => {
    const stored = claim === undefined ? undefined : await claimKey(tx, claim)
    if (stored !== undefined) return { ...stored, replayed: true }
    const response = await work(tx, afterCommit)
    if (claim !== undefined) await storeResponse(tx, claim, response)
    return { ...response, replayed: false }
  })
}

/** The response that is stored for the key; undefined when this request may use the key. */
async function claimKey(tx: Tx, claim: KeyClaim): Promise<StoredResponse | undefined> {
  await lockKey(tx, claim)
  const { merchantId, scope, key } = claim
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
      'This Idempotency-Key was used for another request; send a new key with each new request',
      { field: 'Idempotency-Key' },
    )
  }
  return { status: known.status, body: known.body }
}

/** Does not wait for the lock: a waiting request would hold a connection for as long as the first request runs. */
async function lockKey(tx: Tx, { merchantId, scope, key }: KeyClaim): Promise<void> {
  const [lock] = await tx.query<{ is_ours: boolean }>({
    name: 'lock-idempotency-key',
    text: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS is_ours',
    values: [JSON.stringify([LOCK_CLASS, merchantId, scope, key])],
  })
  if (!lock!.is_ours) {
    throw new SluiceError('CONFLICT_ERROR', 'The first request with this Idempotency-Key is still running')
  }
}

/** Replaces the row of an expired key, if there is one. */
async function storeResponse(tx: Tx, claim: KeyClaim, { status, body }: StoredResponse): Promise<void> {
  await tx.query({
    name: 'store-idempotent-response',
    text: `
      INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, status, response, expires_at)
      VALUES ($1, $2, $3, $4, $5, $6, now() + interval '${KEY_LIVES_HOURS} hours')
      ON CONFLICT (merchant_id, scope, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, status = excluded.status, response = excluded.response,
          created_at = now(), expires_at = excluded.expires_at`,
    values: [claim.merchantId, claim.scope, claim.key, claim.fingerprint, status, body],
  })
}

/** Removes keys whose responses are no longer replayed. A key that a request renews is locked, and stays. */
export const expiredIdempotencyKeys: CleanupTask = {
  name: 'expired idempotency keys',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM idempotency_keys WHERE (merchant_id, scope, key) IN (
      SELECT merchant_id, scope, key FROM idempotency_keys
      WHERE expires_at <= now() LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
}
