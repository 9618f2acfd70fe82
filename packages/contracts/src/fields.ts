// Schemas of the fields that several contracts share. Each description completes the sentence "… must be", which is how a wrong field is reported.
import { type Static, type TSchema, Type } from 'typebox'

/** The greatest amount and integer on any wire. */
export const AMOUNT_MAX = 999_999_999_999

const EXTERNAL_ID = '^(?!\\.{1,2}$)[^\\u0000\\ud800-\\udfff]{1,100}$'
const externalId = new RegExp(EXTERNAL_ID, 'u')

/** Whether a text can be such an id at all; others are unknown without a look. */
export const isExternalId = (text: string): boolean => externalId.test(text)

/**
 * An id that somebody else chose, an account too: any text of 1 to 100 characters except `.` and `..`, which no URL can address
 * (clients resolve them away).
 */
export const ExternalId = Type.String({
  pattern: EXTERNAL_ID,
  description: 'a string of 1 to 100 characters, not "." or "..", without NUL or lone surrogates',
})

/** Text for people, from `lengthMin` to `lengthMax` characters; `note` ends the description. */
export const PlainText = (lengthMax: number, lengthMin = 0, note = '') =>
  Type.String({
    pattern: `^[^\\u0000\\ud800-\\udfff]{${lengthMin},${lengthMax}}$`,
    description: `a string of ${lengthMin > 0 ? `${lengthMin} to` : 'up to'} ${lengthMax} characters, without NUL or lone surrogates${note}`,
  })

/** A currency code's form; whether it is a real one, and its decimals, is checked against the ISO table (money.ts). */
export const Currency = Type.String({
  pattern: '^[A-Z]{3}$',
  description: 'an ISO 4217 code in upper case, such as "INR"',
})

export const Timestamp = Type.String({ format: 'date-time', description: 'an ISO 8601 time in UTC' })

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** Which part of a list is asked for. */
export const pageFields = ({ limitMax, limitDefault }: { limitMax: number; limitDefault: number }) => ({
  limit: Type.Integer({
    minimum: 1,
    maximum: limitMax,
    default: limitDefault,
    description: `an integer from 1 to ${limitMax}`,
  }),
  offset: Type.Integer({
    minimum: 0,
    maximum: 2 ** 31 - 1,
    default: 0,
    description: 'an integer from 0 to 2147483647',
  }),
})

/** The query of most lists. */
export const PageQuery = Type.Object(pageFields({ limitMax: 100, limitDefault: 10 }))
export type PageQuery = Static<typeof PageQuery>

/** The answer of most lists: a page, newest first, and how many rows there are in all. */
export const Page = <T extends TSchema>(item: T) =>
  Type.Object(
    {
      data: Type.Array(item),
      total: Type.Integer({ description: 'How many there are in all' }),
      limit: Type.Integer(),
      offset: Type.Integer(),
    },
    { description: 'A page, and how many there are in all' },
  )

/**
 * The answer of the lists that are bare arrays: how many rows there are in all is in a header, which `headers` tells the
 * OpenAPI document, and nobody else.
 */
export const BareList = <T extends TSchema>(item: T, description: string) =>
  Type.Array(item, {
    description,
    headers: { 'X-Total-Count': { type: 'integer', description: 'How many there are in all' } },
  })
