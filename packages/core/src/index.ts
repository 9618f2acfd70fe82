// What the system does. Features are entered through their own index; `platform` is what they stand on.
export * from './inbound/index.ts'
export * from './merchants/index.ts'
export * from './orders/index.ts'
export * from './payment-events/index.ts'
export * from './payments/index.ts'
export * from './platform/index.ts'
export * from './transactions/index.ts'
export * from './work.ts'
