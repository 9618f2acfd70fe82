// Free TCP ports.
import { randomInt } from 'node:crypto'
import net from 'node:net'

/**
 * A free port below the ranges that operating systems take outgoing connections' ports from. From inside them, a client
 * that reconnects to a stopped server may be given the server's own port and so keep it from coming back.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    if (await isFree(port, host)) return port
  }
}

export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}
