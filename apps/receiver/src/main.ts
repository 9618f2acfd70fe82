// `npm run receiver`: a merchant's server on this machine. It uses only packages that merchants have.
import { createReceiver } from './receiver.ts'
import { readSettings, SANDBOX_SECRET, SettingsError } from './settings.ts'

try {
  start()
} catch (error) {
  fail(error instanceof SettingsError ? error.message : error)
}

function start(): void {
  const { host, port, secret } = readSettings(process.env)
  const server = createReceiver({ secret, print: (line) => console.log(line) })
  server.on('error', (error: NodeJS.ErrnoException) =>
    fail(error.code === 'EADDRINUSE' ? `RECEIVER_PORT is taken: ${error.message}` : error),
  )
  server.listen(port, host, () => {
    const address = server.address()
    const bound = typeof address === 'object' && address !== null ? address.port : port
    // Clients reach a listener on all addresses at this one.
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
    const url = `http://${name}:${bound}`
    // The output shows no secret but the sandbox's, which is public.
    const whose =
      secret === SANDBOX_SECRET ? `the sandbox merchant's secret, ${secret}` : 'the secret in WEBHOOK_SECRET'
    console.log(`Waiting for webhooks, verified with ${whose}. Your webhook URL: ${url}/webhook`)
    console.log(`To watch retries: ${url}/fail?times=2 or ${url}/slow?ms=6000`)
    process.send?.({ type: 'ready', url })
  })

  const stop = () => {
    server.close(() => process.exit(0))
    server.closeAllConnections() // delayed responses are never sent
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, stop)
  process.once('disconnect', stop) // the parent is gone
  // Printing into a closed pipe must not end the receiver during a response.
  process.stdout.on('error', () => {})
}

function fail(reason: unknown): never {
  console.error(reason)
  process.exit(1)
}
