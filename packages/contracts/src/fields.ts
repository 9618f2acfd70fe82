// Schemas of shared fields. Errors put each description after "<field> must be".
import { type Static, type TSchema, Type } from 'typebox'

/** The greatest amount and integer on any wire. */
export const AMOUNT_MAX = 999_999_999_999

const EXTERNAL_ID = '^(?!\\.{1,2}$)[^\\u0000\\ud800-\\udfff]{1,100}$'
const externalId = new RegExp(EXTERNAL_ID, 'u')

/** Whether a text is a possible external id. Others are unknown without a query. */
export const isExternalId = (text: string): boolean => externalId.test(text)

/**
 * An id from outside, such as a transaction id or an account: any text of 1 to 100 characters, except `.` and `..`.
 * Clients resolve those two in a URL, so that no URL can address them.
 */
export const ExternalId = Type.String({
  pattern: EXTERNAL_ID,
  description: 'a string of 1 to 100 characters, not "." or "..", without NUL or lone surrogates',
})

/** Text for people, from `lengthMin` to `lengthMax` characters. `note` is appended to the description. */
export const PlainText = (lengthMax: number, lengthMin = 0, note = '') =>
  Type.String({
    pattern: `^[^\\u0000\\ud800-\\udfff]{${lengthMin},${lengthMax}}$`,
    description: `a string of ${lengthMin > 0 ? `${lengthMin} to` : 'up to'} ${lengthMax} characters, without NUL or lone surrogates${note}`,
  })

/** The form of a currency code. money.ts checks it against the ISO table, with its decimals. */
export const Currency = Type.String({
  pattern: '^[A-Z]{3}$',
  description: 'an ISO 4217 code in upper case, such as "INR"',
})

export const Timestamp = Type.String({ format: 'date-time', description: 'an ISO 8601 time in UTC' })

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** The requested part of a list. */
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

/** The response of most lists: a page, newest first, and the total count. */
export const Page = <T extends TSchema>(item: T) =>
  Type.Object(
    {
      data: Type.Array(item),
      total: Type.Integer({ description: 'The total count of rows' }),
      limit: Type.Integer(),
      offset: Type.Integer(),
    },
    { description: 'A page, and the total count of rows' },
  )

/**
 * The response of lists that are bare arrays. The total count is in a header. Only the OpenAPI document reads `headers`.
 */
export const BareList = <T extends TSchema>(item: T, description: string) =>
  Type.Array(item, {
    description,
    headers: { 'X-Total-Count': { type: 'integer', description: 'The total count of rows' } },
  })
