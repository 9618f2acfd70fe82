// Health: the status at the root URL, readiness and liveness.
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
      { description: 'The process responds' },
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
  summary: 'Readiness: can the system accept and process inbound events?',
  description:
    'With Redis or the worker down the status is `degraded` and still 200, since the API accepts inbound events. 503 means that the database is down.',
  tags: ['Operations'],
  response: {
    200: { ...Health, description: 'The API accepts inbound events: `healthy` or `degraded`' },
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
  summary: 'Liveness: does the process respond?',
  tags: ['Operations'],
  response: { 200: Type.Object({ status: Type.Literal('live') }, { description: 'The process responds' }) },
  errors: [],
})
