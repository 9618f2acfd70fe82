// Money, times, counts, ids and JSON as people read them. Pure.
import { currencyDecimals } from '@sluice/contracts'

const LOCALE = 'en-US'
const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const integers = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 })
const moneyFormats = new Map<string, (decimal: string) => string>()

export const formatCount = (count: number): string => integers.format(count)

/**
 * An amount of minor units with its currency's symbol, when it has one, and always its code: `$250.00 USD`,
 * `¥500 JPY`, `1.250 KWD`. Sums beyond 2^53 came through JSON rounded, so they are shown as about that much. Of a
 * code that ISO 4217 doesn't have nobody knows the decimals: the minor units are shown as they are.
 */
export function formatMoney(minorUnits: number, currency: string): string {
  const decimals = currencyDecimals(currency)
  if (decimals === undefined) return `${formatWhole(minorUnits)} minor units ${currency}`
  const about = Number.isSafeInteger(minorUnits) ? '' : '≈ '
  return `${about}${moneyFormat(currency, decimals)(decimalText(minorUnits, decimals))} ${currency}`
}

/** Formats decimal text, not a number, so that no digit is lost. */
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

/** The sign that goes before the number; empty for currencies without one of their own, whose code says it all. */
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

/** 25000 with 2 decimals is `250.00`: by digits, since dividing would round. */
function decimalText(minorUnits: number, decimals: number): string {
  const digits = BigInt(Math.trunc(minorUnits))
  const sign = digits < 0n ? '-' : ''
  const text = (digits < 0n ? -digits : digits).toString().padStart(decimals + 1, '0')
  if (decimals === 0) return sign + text
  return `${sign}${text.slice(0, -decimals)}.${text.slice(-decimals)}`
}

const formatWhole = (units: number) => integers.format(BigInt(Math.trunc(units)))

/** How long ago a moment was. A little in the future, by clocks that differ, is now. */
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

/** When data was fetched: every second counts, so that a stuck page is seen. */
export function formatFetched(then: number, now: number): string {
  const seconds = Math.floor((now - then) / 1000)
  if (seconds < 1) return 'Updated just now'
  if (seconds < MINUTE) return `Updated ${seconds} s ago`
  return `Updated ${formatAgo(then, now)}`
}

/** `2024-01-15 10:31:00`, in UTC like every time of the API. */
export const formatTime = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')

/** Emoji are made of several characters, some of which would be invisible elsewhere. */
const EMOJI = /[0-9#*]\ufe0f\u20e3|\p{ExtPict}[\ufe0f\p{EMod}]?(?:\u200d\p{ExtPict}[\ufe0f\p{EMod}]?)*/u
/** Nobody sees these, or they rearrange what stands around them. */
const HIDDEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}/u
/** Spaces that would not be seen, or not be counted. */
const LOST_SPACES = /^ +| +$| {2,}/u
const NOT_AS_IS = new RegExp(`(${EMOJI.source})|(${LOST_SPACES.source})|${HIDDEN.source}`, 'gu')

/** An id, in which every character can be seen: two that differ never look the same for an invisible one. */
export const showId = (id: string): string =>
  id.replace(NOT_AS_IS, (text, emoji?: string, spaces?: string) => {
    if (emoji !== undefined) return emoji
    if (spaces !== undefined) return '␣'.repeat(spaces.length)
    const code = text.codePointAt(0)!.toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })

/** What stands between the strings of JSON: the first group keeps the strings themselves. */
const STRING_OR_SPACE = /("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\n\r]+/g

/** JSON on lines of its own; as it is when it is none, or when anything but its spaces would change, such as big numbers. */
export function formatJson(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    const same = JSON.stringify(value) === text.replace(STRING_OR_SPACE, '$1')
    return same ? JSON.stringify(value, null, 2) : text
  } catch {
    return text
  }
}
