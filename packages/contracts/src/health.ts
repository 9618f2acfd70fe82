// Health: the root answer of the first seed, and readiness apart from liveness (SPEC 3, 5, 9).
import { type Static, Type } from 'typebox'
import { Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

export const getRoot = defineRoute({
  method: 'GET',
  url: '/',
  operationId: 'getRoot',
  summary: 'Is the service up?',
  tags: ['Operations'],
  response: {
    200: Type.Object(
      { status: Type.Literal('HEALTHY'), current_time: Timestamp },
      { description: 'The process answers' },
    ),
  },
  errors: [],
})

export const Health = Type.Object({
  status: Type.Union([Type.Literal('healthy'), Type.Literal('degraded'), Type.Literal('unhealthy')]),
  database: Type.Union([Type.Literal('connected'), Type.Literal('disconnected')]),
  redis: Type.Union([
    Type.Literal('connected'),
    Type.Literal('disconnected'),
    Type.Literal('not_configured'),
  ]),
  worker: Type.Union([Type.Literal('running'), Type.Literal('stopped'), Type.Literal('unknown')]),
  timestamp: Timestamp,
})
export type Health = Static<typeof Health>

const health = {
  method: 'GET',
  summary: 'Readiness: can it take and process deliveries?',
  description:
    'Redis or the worker being down is `degraded` and still 200, since deliveries are taken all the same; 503 means that the database is down.',
  tags: ['Operations'],
  response: {
    200: { ...Health, description: 'Deliveries are taken: `healthy`, or `degraded`' },
    503: { ...Health, description: 'The database is down: `unhealthy`' },
  },
  errors: [],
} as const

export const getHealth = defineRoute({ ...health, url: '/health', operationId: 'getHealth' })
export const getApiHealth = defineRoute({ ...health, url: '/api/v1/health', operationId: 'getApiHealth' })

export const getLive = defineRoute({
  method: 'GET',
  url: '/live',
  operationId: 'getLive',
  summary: 'Liveness: does the process answer at all?',
  tags: ['Operations'],
  response: { 200: Type.Object({ status: Type.Literal('live') }, { description: 'The process answers' }) },
  errors: [],
})
