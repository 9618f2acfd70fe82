// The verifier: checks the invariants of money and work in the database.
export { findViolations, type Violation } from './verify.ts'
