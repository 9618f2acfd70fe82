// Inbound: what every kind of delivery shares on its way in.
export { listConflicts } from './conflicts.ts'
