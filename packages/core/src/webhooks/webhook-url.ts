// The rules for a webhook's URL: its syntax, and a host whose addresses are all public.
import net from 'node:net'
import { SluiceError } from '../platform/errors.ts'
import { isPublicAddress } from './address-ranges.ts'
import { OutboundFailure } from './outbound-failure.ts'
import { type HostResolver, ResolveError } from './resolve-host.ts'

const URL_CHARACTERS_MAX = 2048
const ADDRESSES_TRIED_MAX = 8
const BLOCKED = 'must have a host with public addresses only'

export interface AddressRules {
  /** Allows any address. */
  allowPrivate: boolean
  resolver: HostResolver
}

/** What is wrong with a URL as text, in words for the merchant; undefined when it is valid. */
export function urlProblem({ allowPrivate }: AddressRules, url: string): string | undefined {
  const problem = syntaxProblem(url)
  if (problem !== undefined || allowPrivate) return problem
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  return net.isIP(host) !== 0 && !isPublicAddress(host) ? BLOCKED : undefined
}

/** That, or what is wrong with its host's present addresses. @throws SERVICE_UNAVAILABLE when no name server responds */
export async function addressProblem(rules: AddressRules, url: string): Promise<string | undefined> {
  const problem = urlProblem(rules, url)
  if (problem !== undefined || rules.allowPrivate) return problem
  try {
    const addresses = await rules.resolver.resolve(new URL(url).hostname)
    return addresses.every(isPublicAddress) ? undefined : BLOCKED
  } catch (error) {
    if (error instanceof ResolveError && error.reason === 'not_found')
      return 'must have a host that has an address'
    throw new SluiceError(
      'SERVICE_UNAVAILABLE',
      `The host of the URL could not be resolved: ${reasonOf(error)}. Try again later`,
    )
  }
}

/** The addresses to connect to. One address that is not public blocks the host: honest names do not mix them. */
export async function checkedAddresses(
  { allowPrivate, resolver }: AddressRules,
  host: string,
): Promise<string[]> {
  const addresses = await resolver.resolve(host).catch((error: unknown) => {
    throw new OutboundFailure('dns', reasonOf(error))
  })
  if (!allowPrivate && !addresses.every(isPublicAddress)) {
    throw new OutboundFailure('blocked_address', BLOCKED)
  }
  return addresses.slice(0, ADDRESSES_TRIED_MAX)
}

const reasonOf = (error: unknown) => (error instanceof ResolveError ? error.message : 'the lookup failed')

export function syntaxProblem(url: string): string | undefined {
  if (url.length > URL_CHARACTERS_MAX) return `must have at most ${URL_CHARACTERS_MAX} characters`
  // The parser would correct these silently; the stored URL should be the one that is called.
  if (/[\s\p{Cc}\\]/u.test(url)) return 'must not contain spaces, control characters or backslashes'
  if (!/^https?:\/\/[^/?#]/i.test(url)) return 'must begin with http:// or https:// and a host'
  if (!URL.canParse(url) && /:\d+([/?#]|$)/.test(url))
    return 'must be a valid URL, with a port from 1 to 65535'
  if (!URL.canParse(url)) return 'must be a valid URL, such as https://shop.example/webhooks'
  const { username, password, href, port } = new URL(url)
  if (username !== '' || password !== '') return 'must not contain a user name or password'
  if (href.includes('#')) return 'must not contain a fragment (#…)'
  if (port === '0') return 'must not use port 0'
  return undefined
}
