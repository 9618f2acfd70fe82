// One keep-alive HTTP/1.1 connection with at most one request in flight, over a bare socket: the generator shares two
// cores with what it measures, so it must cost as little as possible.
import { connect, type Socket } from 'node:net'

const HEADER_END = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const RESPONSE_BYTES_MAX = 16 * 1024
const RECONNECT_AFTER_MS = 50

export type ConnectionEvents = {
  /** The connection can take a request: after connecting and after each complete response. */
  onReady(connection: Connection): void
  onResponse(connection: Connection, status: number): void
  /** The request in flight has no answer and may or may not have been taken. */
  onLost(connection: Connection): void
}

export class Connection {
  /** The generator's own, kept here to spare a lookup: the request in flight and when it was due. */
  sequence = -1
  startedAt = 0

  readonly #target: { host: string; port: number }
  readonly #events: ConnectionEvents
  #socket: Socket | undefined
  #partial: Buffer | undefined
  #connected = false
  #busy = false
  #closed = false

  constructor(target: { host: string; port: number }, events: ConnectionEvents) {
    this.#target = target
    this.#events = events
  }

  /** Connected and without a request in flight. */
  get idle(): boolean {
    return this.#connected && !this.#busy
  }

  open(): void {
    const socket = connect({
      ...this.#target,
      noDelay: true,
      // One buffer for all reads of this socket: no stream machinery, no garbage for each response.
      onread: {
        buffer: Buffer.allocUnsafe(RESPONSE_BYTES_MAX),
        callback: (length, buffer) => {
          this.#received((buffer as Buffer).subarray(0, length))
          return true
        },
      },
    })
    this.#socket = socket
    socket.once('connect', () => {
      this.#connected = true
      this.#events.onReady(this)
    })
    socket.on('error', () => {}) // 'close' follows and says the same
    socket.once('close', () => this.#disconnected())
  }

  /** The bytes must stay as they are until the response has come. */
  send(request: Uint8Array): void {
    this.#busy = true
    this.#socket!.write(request)
  }

  close(): void {
    this.#closed = true
    this.#socket?.destroy()
  }

  #received(chunk: Buffer): void {
    const bytes = this.#partial ? Buffer.concat([this.#partial, chunk]) : chunk
    const status = completeStatus(bytes)
    if (status === undefined) {
      if (bytes.length > RESPONSE_BYTES_MAX) this.#socket?.destroy()
      else this.#partial = Buffer.from(bytes)
      return
    }
    this.#partial = undefined
    this.#busy = false
    this.#events.onResponse(this, status)
    if (!this.#closed) this.#events.onReady(this)
  }

  #disconnected(): void {
    this.#partial = undefined
    this.#connected = false
    if (this.#busy) {
      this.#busy = false
      this.#events.onLost(this)
    }
    if (!this.#closed) setTimeout(() => this.#closed || this.open(), RECONNECT_AFTER_MS)
  }
}

/** The status of a complete response, undefined while bytes are missing. Our servers always send a Content-Length. */
function completeStatus(bytes: Buffer): number | undefined {
  const headerEnd = bytes.indexOf(HEADER_END)
  if (headerEnd < 0) return undefined
  const length = CONTENT_LENGTH.exec(bytes.toString('latin1', 0, headerEnd))?.[1]
  if (length === undefined)
    throw new Error('A response without Content-Length: the load generator cannot frame it')
  if (bytes.length < headerEnd + HEADER_END.length + Number(length)) return undefined
  return (bytes[9]! - 48) * 100 + (bytes[10]! - 48) * 10 + (bytes[11]! - 48)
}
