// The pool of kept-alive connections, each pinned to checked addresses and used for one request at a time.
import net from 'node:net'
import { buildConnector, Client } from 'undici'
import { OutboundFailure } from './outbound-failure.ts'

const RESPONSE_HEADER_BYTES_MAX = 16 * 1024
/** When a name has several addresses, the next one is tried after this time. */
const ADDRESS_TRY_MS = 500
/** An idle connection is worth little after this, and the receiver is the likelier to have closed it. */
const IDLE_MS_MAX = 1_500
const CONNECTS_MAX = 2

export interface OutboundConnection {
  client: Client
  isSecure: boolean
  /** How often it connected for the current request. */
  connects: number
  /** Returns it to the pool; to be called after a complete response only. */
  release: () => void
  /** Ends it at once, in any state. */
  destroy: () => void
}

interface ConnectionPool {
  /** An idle connection to these addresses, or a new one. */
  take: (origin: string, addresses: string[]) => OutboundConnection
  close: () => void
}

interface PoolState {
  ca: string | undefined
  /** By origin and addresses: a name whose addresses changed gets no connection to the old ones. */
  idle: Map<string, OutboundConnection[]>
  isClosed: boolean
}

/**
 * A connection that the receiver closed while it was idle costs no attempt as long as nothing was sent on it. The client
 * checks an idle socket before it writes. It connects again for a request that it has not begun to write (once, see
 * CONNECTS_MAX). When a reset crosses the request, the receiver may have acted on it: that is an attempt.
 */
export function createConnectionPool(ca: string | undefined): ConnectionPool {
  const pool: PoolState = { ca, idle: new Map(), isClosed: false }
  return {
    take(origin, addresses) {
      const key = [origin, ...[...addresses].sort()].join(' ')
      const connections = pool.idle.get(key) ?? []
      const connection = connections.at(-1) ?? openConnection(pool, key, origin, addresses)
      setIdle(pool, key, connections.slice(0, -1))
      connection.connects = 0
      return connection
    },
    close() {
      pool.isClosed = true
      for (const connection of [...pool.idle.values()].flat()) connection.destroy()
      pool.idle.clear()
    },
  }
}

function setIdle({ idle }: PoolState, key: string, connections: OutboundConnection[]): void {
  if (connections.length > 0) idle.set(key, connections)
  else idle.delete(key)
}

function openConnection(
  pool: PoolState,
  key: string,
  origin: string,
  addresses: string[],
): OutboundConnection {
  const connect = pinnedConnector(addresses, pool.ca)
  let socket: net.Socket | undefined
  const client = new Client(origin, {
    connect: (options, callback) => {
      connection.connects += 1
      if (connection.connects <= CONNECTS_MAX) socket = connect(options, callback)
      else
        callback(new OutboundFailure('reset', 'the receiver closed the connection before the request'), null)
    },
    keepAliveTimeout: IDLE_MS_MAX,
    keepAliveMaxTimeout: IDLE_MS_MAX,
    // A receiver's `Keep-Alive: timeout` is taken less one second.
    keepAliveTimeoutThreshold: 1_000,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
    // The exchange's deadline is the only one.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const connection: OutboundConnection = {
    client,
    isSecure: origin.startsWith('https:'),
    connects: 0,
    release() {
      if (pool.isClosed) connection.destroy()
      else setIdle(pool, key, [...(pool.idle.get(key) ?? []), connection])
    },
    destroy() {
      // A client that is still connecting would let its socket go on.
      socket?.destroy()
      void client.destroy(null)
    },
  }
  client.on('disconnect', () => {
    const connections = pool.idle.get(key) ?? []
    if (connections.includes(connection)) connection.destroy()
    const others = connections.filter((each) => each !== connection)
    setIdle(pool, key, others)
  })
  return connection
}

/** Connects to these addresses only, even if the name resolves to others by then. Host header and TLS use the name. */
function pinnedConnector(addresses: string[], ca: string | undefined) {
  const pinned = addresses.map((address) => ({ address, family: net.isIP(address) }))
  const lookup: net.LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, pinned)
    else callback(null, pinned[0]!.address, pinned[0]!.family)
  }
  const connector = buildConnector({
    lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_TRY_MS,
    timeout: 0,
    // Overrides NODE_TLS_REJECT_UNAUTHORIZED.
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  })
  // It returns the socket, which its type leaves out.
  return connector as (...args: Parameters<typeof connector>) => net.Socket | undefined
}
