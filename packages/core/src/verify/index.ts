// The verifier: what must hold of money and work, checked in the database itself.
export { findViolations, type Violation } from './verify.ts'
