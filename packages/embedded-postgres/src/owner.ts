// The process that owns a data folder, as its owner record names it.

export interface Owner {
  pid: number
  /** See `startMark`: it shows whether a process with this pid is a later one. */
  startMark?: string
  /** The address it listens on, for messages. */
  address?: string
  /** ISO 8601. */
  since: string
}
