// Inbound events: what all kinds of them share.
export { listConflicts } from './conflicts.ts'
