// Dashboard passwords: scrypt with a random salt, stored as `scrypt$N$r$p$salt$hash` (base64url).
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { unavailable } from '../platform/errors.ts'

const PASSWORD_LENGTH_MIN = 8
const PASSWORD_LENGTH_MAX = 200
/** A longer text is refused without a derivation. */
const CHECKED_LENGTH_MAX = 1000

/** Measured: about 80 ms and 32 MiB for each check. */
const COST = { N: 2 ** 15, r: 8, p: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32
/** The limits for parameters of a stored hash, which may be higher than today's. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024
const PARALLELIZATION_MAX = 16

const STORED = /^scrypt\$(\d{1,8})\$(\d{1,4})\$(\d{1,4})\$([\w-]{22})\$([\w-]{43})$/

/** A hash to compare with when none is stored, so that the check takes as long. */
const decoy = { cost: COST, salt: randomBytes(SALT_BYTES), hash: Buffer.alloc(HASH_BYTES) }

/** Why this text may not become a password, or undefined. Lengths count characters. */
export function passwordProblem(password: string): string | undefined {
  const length = [...password].length
  if (length >= PASSWORD_LENGTH_MIN && length <= PASSWORD_LENGTH_MAX) return undefined
  return `password must be ${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters long`
}

/** The text to store for a password, different each time. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, COST)
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), hash.toString('base64url')].join('$')
}

/**
 * Whether `stored` is a hash of this password. A missing or malformed hash is false after the same time, so that
 * callers cannot find out which merchants exist.
 */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  if (password.length > 2 * CHECKED_LENGTH_MAX || [...password].length > CHECKED_LENGTH_MAX) return false
  const known = parse(stored)
  const { cost, salt, hash } = known ?? decoy
  const isSame = timingSafeEqual(await derive(password, salt, cost), hash)
  return isSame && known !== undefined
}

function parse(stored: string | null): typeof decoy | undefined {
  const parts = STORED.exec(stored ?? '')
  if (parts === null) return undefined
  const [N = 0, r = 0, p = 0] = parts.slice(1, 4).map(Number)
  const isValid = N >= 2 && Number.isInteger(Math.log2(N)) && r >= 1 && p >= 1 && p <= PARALLELIZATION_MAX
  if (!isValid || 128 * N * r > MEMORY_BYTES_MAX) return undefined
  const [salt = '', hash = ''] = parts.slice(4)
  return { cost: { N, r, p }, salt: Buffer.from(salt, 'base64url'), hash: Buffer.from(hash, 'base64url') }
}

/** Concurrent derivations. Each holds one of libuv's four threads, which DNS look-ups need too. */
const DERIVATIONS_MAX = 2
/** With more waiting checks, a response within a second is impossible. */
const WAITING_MAX = 8

let underWay = 0
const waiting: Array<() => void> = []

/** @throws SERVICE_UNAVAILABLE when too many passwords are being checked */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (underWay >= DERIVATIONS_MAX) {
    if (waiting.length >= WAITING_MAX) throw unavailable(new Error('too many password checks are waiting'))
    await new Promise<void>((resolve) => waiting.push(resolve))
  } else underWay++
  try {
    return await work()
  } finally {
    const next = waiting.shift() // the next one takes over this place
    if (next === undefined) underWay--
    else next()
  }
}

/** Runs in libuv's threads. NFKC makes a password equal on all keyboards, with composed or single characters. */
function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  const options: ScryptOptions = { ...cost, maxmem: 2 * MEMORY_BYTES_MAX }
  return inTurn(
    () =>
      new Promise((resolve, reject) => {
        scrypt(password.normalize('NFKC'), salt, HASH_BYTES, options, (error, key) =>
          error === null ? resolve(key) : reject(error),
        )
      }),
  )
}
