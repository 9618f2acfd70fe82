// Everything that crosses a wire. Browser-safe.
export * from './client.ts'
export * from './conflicts.ts'
export * from './errors.ts'
export * from './fields.ts'
export * from './health.ts'
export * from './money.ts'
export * from './route.ts'
export * from './transactions.ts'
