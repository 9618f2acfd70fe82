// Reads the contents and the commands of a Redis over its own protocol, without a client library.
import { connect } from 'node:net'

const resp = (command: readonly string[]) =>
  `*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`

/** The text of one reply, which must be a bulk string or a single line. */
export function runRedisCommand(url: string, command: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let reply = Buffer.alloc(0)
    const socket = connect(Number(port), hostname, () => socket.write(resp(command)))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      reply = Buffer.concat([reply, chunk])
      const head = reply.indexOf('\r\n')
      if (head === -1) return
      const line = reply.toString('utf8', 0, head)
      const length = line.startsWith('$') ? Number(line.slice(1)) + 2 : 0
      if (reply.length < head + 2 + length) return
      socket.destroy()
      if (line.startsWith('-')) reject(new Error(line))
      else resolve(reply.toString('utf8', head + 2) || line)
    })
  })
}

/** Every key with its value, by type: DUMP would compress them. */
export const dumpRedis = (url: string) =>
  runRedisCommand(url, [
    'EVAL',
    `local reads = {
       string = {'GET'}, list = {'LRANGE', 0, -1}, set = {'SMEMBERS'}, zset = {'ZRANGE', 0, -1},
       hash = {'HGETALL'}, stream = {'XRANGE', '-', '+'}}
     local found = {}
     for _, key in ipairs(redis.call('KEYS', '*')) do
       local read = reads[redis.call('TYPE', key).ok]
       table.insert(found, {key, redis.call(read[1], key, unpack(read, 2))})
     end
     return cjson.encode(found)`,
    '0',
  ])

/** Records every command that the Redis receives from now on, those of scripts included. */
export async function monitorRedis(url: string) {
  const { hostname, port } = new URL(url)
  let output = ''
  const socket = connect(Number(port), hostname, () => socket.write(resp(['MONITOR'])))
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      output += chunk
      resolve()
    })
  })
  return { output: () => output, end: () => socket.destroy() }
}
