// Inbound events: what all kinds of them share.
export { oldPayloads } from './cleanup.ts'
export {
  type ConflictingBody,
  type DistinctBody,
  distinctBodies,
  insertConflicts,
  listConflicts,
  reportConflicts,
} from './conflicts.ts'
export { createDuplicateWatch, differingFields } from './duplicates.ts'
export { createIngest, type InboundEvent, type IngestDeps, type Stored } from './ingest.ts'
