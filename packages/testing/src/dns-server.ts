// A small name server for tests, over UDP on loopback: the test sets the answer to each name, or no answer.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'

const TYPE_A = 1
const TYPE_AAAA = 28
const TYPES: Record<number, 4 | 6> = { [TYPE_A]: 4, [TYPE_AAAA]: 6 }
const NO_ERROR = 0
const SERVER_FAILURE = 2
const NO_SUCH_NAME = 3

/**
 * The answer for a name: its addresses, "no such name", a failure of the server, or no answer.
 * Only addresses of the requested family are sent; without one the answer is empty.
 */
export type DnsAnswer = string[] | 'no such name' | 'failure' | 'silence'

export interface TestDnsServer {
  /** `127.0.0.1:port`, for a resolver's `servers`. */
  address: string
  /** Every question, in order, as `A name` or `AAAA name`. */
  questions: string[]
  /** Sets the answer for a name: a fixed one, or a function called for each question. Other names do not exist. */
  answer: (name: string, how: DnsAnswer | ((family: 4 | 6) => DnsAnswer)) => void
  close: () => Promise<void>
}

export async function startDnsServer(): Promise<TestDnsServer> {
  const answers = new Map<string, DnsAnswer | ((family: 4 | 6) => DnsAnswer)>()
  const questions: string[] = []
  const socket = createSocket('udp4')

  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query)
    const family = TYPES[type]
    questions.push(`${family === 6 ? 'AAAA' : family === 4 ? 'A' : type} ${name}`)
    const how = answers.get(name) ?? 'no such name'
    const answer = typeof how === 'function' ? how(family ?? 4) : how
    if (answer !== 'silence') socket.send(writeAnswer(query, end, family, answer), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')

  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    answer: (name, how) => void answers.set(name, how),
    async close() {
      const closed = once(socket, 'close')
      socket.close()
      await closed
    },
  }
}

/** The single question of a query (RFC 1035, 4.1.2): its name in lower case, its type, and the offset of its end. */
function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase())
    at += 1 + length
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function writeAnswer(
  query: Buffer,
  questionEnd: number,
  family: 4 | 6 | undefined,
  answer: Exclude<DnsAnswer, 'silence'>,
): Buffer {
  const addresses = Array.isArray(answer) ? answer.filter((each) => net.isIP(each) === family) : []
  const code = answer === 'no such name' ? NO_SUCH_NAME : answer === 'failure' ? SERVER_FAILURE : NO_ERROR
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x8180 | code, 2) // An answer from a recursive server.
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(addresses.length, 6)
  return Buffer.concat([header, query.subarray(12, questionEnd), ...addresses.map(writeRecord)])
}

/** A record about the question's name (a pointer to offset 12). Its time to live is 0, so no resolver caches it. */
function writeRecord(address: string): Buffer {
  const bytes = net.isIPv4(address) ? bytesOfIPv4(address) : bytesOfIPv6(address)
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(bytes.length === 4 ? TYPE_A : TYPE_AAAA, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(bytes.length, 10)
  return Buffer.concat([head, bytes])
}

function bytesOfIPv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function bytesOfIPv6(address: string): Buffer {
  // The URL parser writes an embedded IPv4 address as two groups, and all in one notation.
  const [left = '', right = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const zeros = new Array<number>(8 - groups(left).length - groups(right).length).fill(0)
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...groups(left), ...zeros, ...groups(right)].entries()) {
    bytes.writeUInt16BE(group, index * 2)
  }
  return bytes
}
