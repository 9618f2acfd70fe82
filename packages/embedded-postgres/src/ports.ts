// Finds free TCP ports.
import { randomInt } from 'node:crypto'
import net from 'node:net'

/**
 * A free port below the ephemeral ranges of operating systems. Inside them, a client that reconnects to a stopped server
 * may get the server's own port, which keeps the server from coming back.
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
