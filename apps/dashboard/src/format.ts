// Pure functions that format money, times, counts, ids and JSON for the page.
import { currencyDecimals } from '@sluice/contracts'

const LOCALE = 'en-US'
const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const integers = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 })
const moneyFormats = new Map<string, (decimal: string) => string>()

export const formatCount = (count: number): string => integers.format(count)

/**
 * Formats minor units with the currency's symbol, if it has one, and its code: `$250.00 USD`, `¥500 JPY`, `1.250 KWD`.
 * JSON rounds sums beyond 2^53, so `≈` marks them. The decimals of a code outside ISO 4217 are unknown, so its minor
 * units are shown unchanged.
 */
export function formatMoney(minorUnits: number, currency: string): string {
  const decimals = currencyDecimals(currency)
  if (decimals === undefined) return `${formatWhole(minorUnits)} minor units ${currency}`
  const about = Number.isSafeInteger(minorUnits) ? '' : '≈ '
  return `${about}${moneyFormat(currency, decimals)(decimalText(minorUnits, decimals))} ${currency}`
}

/** The returned function takes decimal text, not a number, so that no digit is lost. */
function moneyFormat(currency: string, decimals: number): (decimal: string) => string {
  const known = moneyFormats.get(currency)
  if (known !== undefined) return known
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
  const plain = new Intl.NumberFormat(LOCALE, digits)
  const symbol = currencySymbol(currency)
  const format = (decimal: string) => {
    const text = plain.format(decimal as Intl.StringNumericLiteral)
    return text.startsWith('-') ? `-${symbol}${text.slice(1)}` : `${symbol}${text}`
  }
  moneyFormats.set(currency, format)
  return format
}

/** The symbol before the number; empty for currencies without one, whose code follows the number anyway. */
function currencySymbol(currency: string): string {
  try {
    const parts = new Intl.NumberFormat(LOCALE, {
      style: 'currency',
      currency,
      currencyDisplay: 'narrowSymbol',
    }).formatToParts(0)
    const symbol = parts.find(({ type }) => type === 'currency')?.value ?? ''
    return /^\p{Sc}$/u.test(symbol) && symbol !== '¤' ? symbol : ''
  } catch {
    return ''
  }
}

/** 25000 with 2 decimals is `250.00`. Works on digits, because a division would round. */
function decimalText(minorUnits: number, decimals: number): string {
  const digits = BigInt(Math.trunc(minorUnits))
  const sign = digits < 0n ? '-' : ''
  const text = (digits < 0n ? -digits : digits).toString().padStart(decimals + 1, '0')
  if (decimals === 0) return sign + text
  return `${sign}${text.slice(0, -decimals)}.${text.slice(-decimals)}`
}

const formatWhole = (units: number) => integers.format(BigInt(Math.trunc(units)))

/** How long ago a time was. Clocks may differ a little, so a time in the future is "just now". */
export function formatAgo(then: number, now: number): string {
  const seconds = Math.floor((now - then) / 1000)
  if (seconds < 5) return 'just now'
  if (seconds < MINUTE) return `${seconds} s ago`
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`
  const days = Math.floor(seconds / DAY)
  if (days < 30) return days === 1 ? '1 day ago' : `${days} days ago`
  return `on ${new Date(then).toISOString().slice(0, 10)}`
}

/** How long ago the data was fetched, from the first second on, so that a stuck page is visible. */
export function formatFetched(then: number, now: number): string {
  const seconds = Math.floor((now - then) / 1000)
  if (seconds < 1) return 'Updated just now'
  if (seconds < MINUTE) return `Updated ${seconds} s ago`
  return `Updated ${formatAgo(then, now)}`
}

/** `2024-01-15 10:31:00`, in UTC as everywhere in the API. */
export const formatTime = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')

/** An emoji may consist of several characters, some of which are invisible outside one. */
const EMOJI = /[0-9#*]\ufe0f\u20e3|\p{ExtPict}[\ufe0f\p{EMod}]?(?:\u200d\p{ExtPict}[\ufe0f\p{EMod}]?)*/u
/** Characters that are invisible, or that change the order of the text around them. */
const HIDDEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}/u
/** Spaces that a reader can't see or count. */
const LOST_SPACES = /^ +| +$| {2,}/u
const NOT_AS_IS = new RegExp(`(${EMOJI.source})|(${LOST_SPACES.source})|${HIDDEN.source}`, 'gu')

/** Escapes the invisible characters of an id, so that two different ids never look the same because of one. */
export const showId = (id: string): string =>
  id.replace(NOT_AS_IS, (text, emoji?: string, spaces?: string) => {
    if (emoji !== undefined) return emoji
    if (spaces !== undefined) return '␣'.repeat(spaces.length)
    const code = text.codePointAt(0)!.toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })

/** Matches the strings of JSON (group 1) and the white space between its tokens. */
const STRING_OR_SPACE = /("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\n\r]+/g

/** Indents JSON. Returns the text unchanged if it isn't JSON, or if more than its white space would change. */
export function formatJson(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    const same = JSON.stringify(value) === text.replace(STRING_OR_SPACE, '$1')
    return same ? JSON.stringify(value, null, 2) : text
  } catch {
    return text
  }
}
