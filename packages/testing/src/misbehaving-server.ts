// A receiver that misbehaves on request: the path of a URL names the misbehaviour.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { gzipSync } from 'node:zlib'
import { freePort } from '@sluice/embedded-postgres'
import { waitFor } from './wait.ts'

const MIB = 1024 * 1024

/** Acts on a connection after a complete request. `count` numbers the requests of the connection. */
type Misbehaviour = (socket: net.Socket, count: number) => void

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const responds =
  (...parts: (string | Buffer)[]): Misbehaviour =>
  (socket) =>
    void socket.write(Buffer.concat(parts.map((part) => Buffer.from(part as string))))
const endless = (head: string, part: string | Buffer, everyMs: number): Misbehaviour => {
  return (socket) => {
    socket.write(head)
    const timer = setInterval(() => !socket.writableNeedDrain && socket.write(part), everyMs)
    socket.on('close', () => clearInterval(timer))
  }
}
const head = (status: string, ...fields: string[]) => `HTTP/1.1 ${[status, ...fields].join('\r\n')}\r\n\r\n`
const chunked = (status: string) => head(status, 'transfer-encoding: chunked')
const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`

export const misbehaviours = {
  ok: responds(ok),
  'ok-and-close': (socket) =>
    socket.end(head('200 OK', 'connection: close', 'content-length: 2').concat('ok')),
  'no-content': responds(head('204 No Content')),
  'client-error': responds(head('404 Not Found', 'content-length: 4'), 'gone'),
  'server-error': responds(head('500 Oops', 'content-length: 4'), 'oops'),
  busy: responds(head('503 Busy', 'retry-after: 120', 'retry-after: 7', 'content-length: 0')),
  'redirect-to-private': responds(
    head('301 Moved', 'location: http://169.254.169.254/', 'content-length: 0'),
  ),
  'reset-before-header': (socket) => socket.resetAndDestroy(),
  'reset-mid-header': (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-', () => socket.resetAndDestroy()),
  'reset-after-header': (socket) => {
    socket.write(`${head('200 OK', 'content-length: 100')}part`)
    setTimeout(() => socket.resetAndDestroy(), 50)
  },
  'close-before-header': (socket) => socket.end(),
  'close-mid-header': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-'),
  'close-mid-body': (socket) => socket.end(`${head('500 Oops', 'content-length: 100')}part`),
  'close-ends-body': (socket) => socket.end(`${head('200 OK')}all of it`),
  'reset-second-request': (socket, count) => (count > 1 ? socket.resetAndDestroy() : socket.write(ok)),
  'close-when-idle': (socket) => socket.write(ok, () => setTimeout(() => socket.end(), 50)),
  'write-when-idle': (socket) => socket.write(ok, () => setTimeout(() => socket.write(ok), 50)),
  'hang-before-header': () => {},
  'hang-mid-header': responds('HTTP/1.1 200 OK\r\nx-a: '),
  'hang-mid-body': responds(head('200 OK', 'content-length: 100'), 'part'),
  'endless-200': endless(chunked('200 OK'), chunk(16_384), 1),
  'endless-500': endless(chunked('500 Oops'), chunk(16_384), 1),
  'endless-drip': endless(chunked('200 OK'), chunk(1), 20),
  'endless-header': endless('HTTP/1.1 200 OK\r\n', 'x-a: b\r\n', 20),
  'endless-status-line': endless('HTTP/1.1 200 ', 'O'.repeat(16_384), 1),
  'endless-trailers': endless(`${chunked('200 OK')}0\r\n`, `x-a: ${'b'.repeat(1000)}\r\n`, 1),
  'endless-early-hints': endless('', head('103 Early Hints', 'link: </>'), 5),
  // 1 GiB of zeros in about 1 MB: a client that decodes or keeps it shows in its memory.
  'gzip-bomb': (socket) => {
    const bomb = gzipSync(Buffer.alloc(4 * MIB))
    socket.write(head('200 OK', 'content-encoding: gzip', `content-length: ${bomb.length * 256}`))
    for (let times = 0; times < 256; times += 1) socket.write(bomb)
  },
  'bad-text': responds(
    head('200 OK', 'content-length: 6'),
    Buffer.from([0x61, 0xff, 0xfe, 0x00, 0xc3, 0x28]),
  ),
  'large-header': responds(head('200 OK', `x-large: ${'x'.repeat(32_768)}`, 'content-length: 0')),
  'many-headers': responds(head('200 OK', ...Array.from({ length: 5000 }, (_, at) => `x-${at}: y`))),
  'odd-headers': responds(head('200 OK', '__proto__: x', 'constructor: \xff\x01', 'content-length: 2'), 'ok'),
  garbage: responds('SSH-2.0-OpenSSH_9.6\r\n'),
  'garbage-bytes': responds(Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 167) % 256))),
  'old-http': (socket) => socket.end('HTTP/0.9 ok\r\n\r\n'),
  'http-1.0': (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nok'),
  'bad-chunk': responds(chunked('200 OK'), 'zz\r\nwhat\r\n'),
  'two-lengths': responds(head('200 OK', 'content-length: 2', 'content-length: 3'), 'ok'),
  'longer-than-its-length': responds(head('200 OK', 'content-length: 2'), 'ok and more'),
  'two-responses': responds(ok, ok, ok),
  trailers: responds(chunked('200 OK'), '2\r\nok\r\n0\r\nx-trailer: \xff\r\n__proto__: y\r\n\r\n'),
  'early-hints': responds(head('103 Early Hints', 'link: </>'), head('102 Processing'), ok),
  continue: responds(head('100 Continue'), ok),
  'switching-protocols': responds(
    head('101 Switching', 'connection: upgrade', 'upgrade: websocket'),
    'frames',
  ),
} satisfies Record<string, Misbehaviour>

export type MisbehaviourName = keyof typeof misbehaviours

export interface MisbehavingServer {
  port: number
  /** The URL of a misbehaviour over plain HTTP. */
  url: (name: MisbehaviourName) => string
  /** The same over TLS at `localhost`, with a certificate that only `testCertificate` verifies. */
  tlsUrl: (name: MisbehaviourName) => string
  /** The number of connections so far. */
  connections: () => number
  /** The number of open connections. */
  openConnections: () => number
  /** Every complete request: its line (`POST /ok`), its header and its body. */
  requests: { line: string; head: string; body: string }[]
  close: () => Promise<void>
}

export async function startMisbehavingServer(): Promise<MisbehavingServer> {
  const requests: MisbehavingServer['requests'] = []
  const sockets = new Set<net.Socket>()
  let connections = 0

  function serve(socket: net.Socket): void {
    let received = Buffer.alloc(0)
    let count = 0
    socket.on('error', () => {})
    socket.on('data', (part) => {
      received = Buffer.concat([received, part])
      const request = readRequest(received)
      if (request === undefined) return
      received = received.subarray(request.bytes)
      requests.push(request)
      count += 1
      const name = /^\S+ \/([^?\s]*)/.exec(request.line)?.[1] as MisbehaviourName
      const act: Misbehaviour = misbehaviours[name] ?? responds(head('404 Not Found', 'content-length: 0'))
      act(socket, count)
    })
  }

  const servers = [
    net.createServer(serve),
    tls.createServer({ key: testKey, cert: testCertificate, ALPNProtocols: ['http/1.1'] }, serve),
  ] as const
  for (const server of servers) {
    // The 'connection' event of a TLS server has the TCP socket.
    server.on('connection', (socket: net.Socket) => {
      connections += 1
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const [port, tlsPort] = servers.map((server) => (server.address() as net.AddressInfo).port) as [
    number,
    number,
  ]

  return {
    port,
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    tlsUrl: (name) => `https://localhost:${tlsPort}/${name}`,
    connections: () => connections,
    openConnections: () => sockets.size,
    requests,
    async close() {
      const closed = Promise.all(servers.map((server) => once(server, 'close')))
      for (const server of servers) server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** The first complete request in the received bytes. */
function readRequest(
  received: Buffer,
): { line: string; head: string; body: string; bytes: number } | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = received.toString('latin1', 0, end)
  const bytes = end + 4 + Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  if (received.length < bytes) return undefined
  const [line = ''] = head.split(' HTTP/1.1')
  return { line, head, body: received.toString('utf8', end + 4, bytes), bytes }
}

/** A URL without a listener: connections are refused. */
export async function refusedUrl(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}/`
}

/**
 * A port that neither accepts nor refuses connections, as behind a firewall: its process is stopped and its backlog full,
 * so Linux drops further SYNs. `resume` continues the process and returns what other clients sent to it.
 */
export async function startStoppedServer(): Promise<{
  url: string
  resume: () => Promise<string>
  close: () => Promise<void>
}> {
  const script = `const server = require('node:net').createServer((socket) => socket.pipe(process.stdout))
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`
  const server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(server.stdout, 'data')
  const port = Number(String(line))
  server.kill('SIGSTOP')
  const fillers = Array.from({ length: 4 }, () => net.connect(port, '127.0.0.1').on('error', () => {}))
  await once(fillers[0]!, 'connect')
  let received = ''
  server.stdout.on('data', (part) => {
    received += part
  })
  return {
    url: `http://127.0.0.1:${port}/`,
    async resume() {
      server.kill('SIGCONT')
      // The server accepts connections in order, so everything sent before this word is received before it.
      const last = net.connect(port, '127.0.0.1', () => last.write('last word'))
      await waitFor('the last word', () => received.includes('last word'))
      last.destroy()
      return received.replace('last word', '')
    },
    async close() {
      for (const filler of fillers) filler.destroy()
      const exited = once(server, 'exit')
      server.kill('SIGKILL')
      await exited
    },
  }
}

// Made for these tests, for `localhost` and a hundred years, by
// openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -addext subjectAltName=DNS:localhost
export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBtzCCAV2gAwIBAgIUKZolncbT9nzMkv0PdOExd0lLDAYwCgYIKoZIzj0EAwIw
JTEjMCEGA1UEAwwaU2x1aWNlIHRlc3QsIHdvcnRoIG5vdGhpbmcwIBcNMjYxMTIw
MTcxODU0WhgPMjEyNjEwMjcxNzE4NTRaMCUxIzAhBgNVBAMMGlNsdWljZSB0ZXN0
LCB3b3J0aCBub3RoaW5nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoQa1Rb4h
sE0zGn+rFkEBAjKIsMrbqjpg9ecvgs26/8SdiAg8DyczxheT7Em3xlleoPldtMtG
lPRf7pvcMyLI86NpMGcwHQYDVR0OBBYEFC8vx44jTGg12UVeyJCBuU6SpXoyMB8G
A1UdIwQYMBaAFC8vx44jTGg12UVeyJCBuU6SpXoyMA8GA1UdEwEB/wQFMAMBAf8w
FAYDVR0RBA0wC4IJbG9jYWxob3N0MAoGCCqGSM49BAMCA0gAMEUCIHYO76xHUJfi
p3H1VykB1S/UbFzYYFhBgbKLhYtdXXCPAiEAlrxOHzG2CdwFtr3nApj/EmYg51k0
qBe83iTQO+LmMYg=
-----END CERTIFICATE-----
`
const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIilzIkFpeBHhloXT
Qk1jQDtoD36yr0scZZQxSoJrnB+hRANCAAShBrVFviGwTTMaf6sWQQECMoiwytuq
OmD15y+Czbr/xJ2ICDwPJzPGF5PsSbfGWV6g+V20y0aU9F/um9wzIsjz
-----END PRIVATE KEY-----
`
