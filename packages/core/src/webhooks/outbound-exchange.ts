// One outgoing request and its result, from undici's callbacks and a deadline; the first end counts.
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import type { OutboundConnection } from './outbound-connections.ts'
import { failureOf, OutboundFailure } from './outbound-failure.ts'
import type { OutboundResult } from './outcome.ts'

const RESPONSE_BYTES_MAX = 64 * 1024

type Phase = 'resolving the host' | 'connecting' | 'waiting for the response'

export class OutboundExchange implements Dispatcher.DispatchHandler {
  readonly result: Promise<OutboundResult>
  isOver = false
  private readonly startedAt = performance.now()
  private readonly timer: NodeJS.Timeout
  private readonly chunks: Buffer[] = []
  private bytes = 0
  private phase: Phase = 'resolving the host'
  private connection: OutboundConnection | undefined
  private header: { status: number; headers: { retryAfter?: string } } | undefined
  private fulfil!: (result: OutboundResult) => void

  constructor(deadlineMs: number) {
    this.result = new Promise((fulfil) => {
      this.fulfil = fulfil
    })
    // If this process was busy, the response may wait in the socket: read it before the deadline counts.
    this.timer = setTimeout(() => setImmediate(() => this.timeOut(deadlineMs)), deadlineMs)
  }

  useConnection(connection: OutboundConnection): void {
    this.connection = connection
    this.phase = 'connecting'
  }

  /** undici calls it right before it writes the first byte. */
  onRequestStart(): void {
    this.phase = 'waiting for the response'
  }

  onResponseStart(_controller: unknown, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return
    const retryAfter = [headers['retry-after']].flat()[0]
    this.header = { status, headers: retryAfter === undefined ? {} : { retryAfter } }
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.isOver) return
    this.chunks.push(chunk)
    this.bytes += chunk.length
    if (this.bytes >= RESPONSE_BYTES_MAX) this.abandon()
  }

  onResponseEnd(): void {
    if (this.isOver) return
    this.settle()
    this.connection?.release()
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.fail(error)
  }

  /** Ends the exchange with an error, which counts only if no complete header came before. */
  fail(error: unknown): void {
    const isHandshake = this.phase === 'connecting' && this.connection?.isSecure === true
    this.abandon(error instanceof OutboundFailure ? error : failureOf(error, isHandshake))
  }

  private timeOut(deadlineMs: number): void {
    const message = `timed out after ${deadlineMs} ms while ${this.phase}`
    this.fail(new OutboundFailure(this.connection === undefined ? 'dns' : 'timeout', message))
  }

  /** Ends the exchange before its response ended, and its connection too, so that nothing more is sent. */
  private abandon(failure?: OutboundFailure): void {
    if (this.isOver) return
    this.settle(failure)
    this.connection?.destroy()
  }

  private settle(failure?: OutboundFailure): void {
    this.isOver = true
    clearTimeout(this.timer)
    const durationMs = Math.round(performance.now() - this.startedAt)
    if (this.header !== undefined) {
      const body = Buffer.concat(this.chunks).subarray(0, RESPONSE_BYTES_MAX)
      this.fulfil({ is: 'responded', ...this.header, body, durationMs })
    } else {
      const { error, message } =
        failure ?? new OutboundFailure('invalid_response', 'the response has no header')
      this.fulfil({ is: 'failed', error, message, durationMs })
    }
  }
}
