// The errors of the embedded server: each has a message of one line with the remedy, and a code to branch on.
import type { Owner } from './owner.ts'

export type EmbeddedPostgresErrorCode =
  | 'unsupported_platform'
  | 'no_account'
  | 'unsafe_folder'
  | 'unusable_data_dir'
  | 'foreign_files'
  | 'other_version'
  | 'already_running'
  | 'initdb_failed'
  | 'start_failed'
  | 'stopped'

export class EmbeddedPostgresError extends Error {
  override readonly name: string = 'EmbeddedPostgresError'
  readonly code: EmbeddedPostgresErrorCode

  constructor(code: EmbeddedPostgresErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Another live process owns the data; `owner` names it. */
export class AlreadyRunningError extends EmbeddedPostgresError {
  override readonly name = 'AlreadyRunningError'
  readonly owner: Owner

  constructor(owner: Owner, dataDir: string) {
    const at = owner.address ? ` at ${owner.address}` : ''
    super(
      'already_running',
      `Sluice already runs on this data: process ${owner.pid}${at}, since ${owner.since} (data in ${dataDir}). Stop it first, or set DATA_DIR to another folder.`,
    )
    this.owner = owner
  }
}

export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}
