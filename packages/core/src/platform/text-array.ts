// PostgreSQL's binary form of text[], written in one pass; node-postgres would build one escaped text.
// Source: array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.

const TEXT_OID = 25
const HEADER_BYTES = 20
const LENGTH_BYTES = 4

/** UTF-8 takes at most three bytes for a UTF-16 unit; asking for less would cost a pass over every text. */
const BYTES_PER_UNIT_MAX = 3

/**
 * A value for a `$n::text[]` parameter: `pick` of each item, in order. Strings must be well-formed and without NUL,
 * buffers such UTF-8.
 */
export function textArray<T>(items: readonly T[], pick: (item: T) => string | Buffer): Buffer {
  let room = HEADER_BYTES
  for (const item of items) {
    const value = pick(item)
    room += LENGTH_BYTES + value.length * (typeof value === 'string' ? BYTES_PER_UNIT_MAX : 1)
  }
  const buffer = Buffer.allocUnsafe(room)
  let offset = buffer.writeInt32BE(items.length === 0 ? 0 : 1, 0) // dimensions
  offset = buffer.writeInt32BE(0, offset) // no nulls
  offset = buffer.writeInt32BE(TEXT_OID, offset)
  if (items.length === 0) return buffer.subarray(0, offset)
  offset = buffer.writeInt32BE(items.length, offset)
  offset = buffer.writeInt32BE(1, offset) // the first subscript
  for (const item of items) {
    const value = pick(item)
    const start = offset + LENGTH_BYTES
    const bytes = typeof value === 'string' ? buffer.write(value, start) : value.copy(buffer, start)
    buffer.writeInt32BE(bytes, offset)
    offset = start + bytes
  }
  return buffer.subarray(0, offset)
}
