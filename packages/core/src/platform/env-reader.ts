// Reads single environment variables: each problem is collected, with the variable's name and what is expected.

/** Both ends are possible; `min` is never above `max`. */
export interface DelayRange {
  min: number
  max: number
}

/** The greatest delay of a timer and of a delayed job (int32 milliseconds, about 24 days). */
export const DELAY_MS_MAX = 2 ** 31 - 1

/** Reads variables of these names from `env`; an empty value counts as unset. Adds what is wrong to `problems`. */
export class EnvReader<Name extends string> {
  readonly #env: Record<string, string | undefined>
  readonly #problems: string[]

  constructor(env: Record<string, string | undefined>, problems: string[]) {
    this.#env = env
    this.#problems = problems
  }

  text(name: Name): string | undefined {
    const value = this.#env[name]?.trim()
    return value === '' ? undefined : value
  }

  optionalInteger(name: Name, min: number, max: number): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const number = Number(value)
    if (/^\d+$/.test(value) && number >= min && number <= max) return number
    this.#problems.push(`${name} must be an integer from ${min} to ${max}, not "${value}"`)
    return undefined
  }

  integer(name: Name, fallback: number, min: number, max: number): number {
    return this.optionalInteger(name, min, max) ?? fallback
  }

  /** A share, 0 to 1, in plain decimals. */
  rate(name: Name, fallback: number): number {
    const value = this.text(name)
    if (value === undefined) return fallback
    if (/^(\d+(\.\d+)?|\.\d+)$/.test(value) && Number(value) <= 1) return Number(value)
    this.#problems.push(`${name} must be a number from 0 to 1, not "${value}"`)
    return fallback
  }

  /** Two variables in milliseconds; either may be left to its default. */
  delayRange(minName: Name, minFallback: number, maxName: Name, maxFallback: number): DelayRange {
    const problemsBefore = this.#problems.length
    const min = this.integer(minName, minFallback, 0, DELAY_MS_MAX)
    const max = this.integer(maxName, maxFallback, 0, DELAY_MS_MAX)
    // A default in place of an invalid value has nothing to do with the intended range.
    if (min > max && this.#problems.length === problemsBefore) {
      const shown = (name: Name, value: number) =>
        `${name} (${value}${this.text(name) === undefined ? ' by default' : ''})`
      this.#problems.push(`${shown(minName, min)} must not be above ${shown(maxName, max)}`)
    }
    return { min, max }
  }

  /** In lower case, as merchants' addresses are stored. */
  email(name: Name): string | undefined {
    const value = this.text(name)?.toLowerCase()
    if (value === undefined) return undefined
    if (/^[^@\s]+@[^@\s]+$/.test(value) && [...value].length <= 255) return value
    this.#problems.push(`${name} must be an e-mail address (one @, no white space, at most 255 characters)`)
    return undefined
  }

  /** Never quotes the value. Allows what a header value can carry. */
  credential(name: Name): string | undefined {
    const value = this.text(name)
    if (value === undefined || /^[\x21-\x7e]{1,64}$/.test(value)) return value
    this.#problems.push(`${name} must be 1 to 64 visible ASCII characters`)
    return undefined
  }

  boolean(name: Name, fallback: boolean): boolean {
    const value = this.text(name)
    if (value === undefined) return fallback
    if (value === 'true' || value === 'false') return value === 'true'
    this.#problems.push(`${name} must be true or false, not "${value}"`)
    return fallback
  }

  /** Comma-separated; never quotes an entry, which may be a secret. */
  list(name: Name, isValid: (entry: string) => boolean, expected: string): string[] {
    const entries = (this.text(name) ?? '').split(',').map((entry) => entry.trim())
    const given = entries.filter((entry) => entry !== '')
    const wrong = given.findIndex((entry) => !isValid(entry))
    if (wrong !== -1) {
      this.#problems.push(`${name} must be a comma-separated list of ${expected}; entry ${wrong + 1} is not`)
    }
    return given
  }

  choice<const T extends string>(name: Name, choices: readonly T[], fallback: T): T {
    const value = this.text(name)
    if (value === undefined) return fallback
    const chosen = choices.find((choice) => choice === value)
    if (chosen === undefined)
      this.#problems.push(`${name} must be one of ${choices.join(', ')}, not "${value}"`)
    return chosen ?? fallback
  }

  /** Never quotes the value: database URLs carry passwords. */
  url(name: Name, protocols: readonly string[]): string | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value
    this.#problems.push(
      `${name} must be a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    )
    return undefined
  }
}
