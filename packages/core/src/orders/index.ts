// Orders: create and read.
export { createOrder } from './create.ts'
export { findOrder, findPublicOrder, listOrders } from './read.ts'
