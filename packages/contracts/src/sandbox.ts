// Routes for testers, in the sandbox only.
import { type Static, Type } from 'typebox'
import { defineRoute } from './route.ts'

const tags = ['Sandbox']

export const getTestMerchant = defineRoute({
  method: 'GET',
  url: '/api/v1/test/merchant',
  operationId: 'getTestMerchant',
  summary: 'Read whether the test merchant exists',
  tags,
  rateLimited: true,
  response: {
    200: Type.Object(
      { id: Type.String(), email: Type.String(), api_key: Type.String(), seeded: Type.Literal(true) },
      {
        description: 'The seeded merchant',
        examples: [
          {
            id: '550e8400-e29b-41d4-a716-446655440000',
            email: 'test@example.com',
            api_key: 'key_test_abc123',
            seeded: true,
          },
        ],
      },
    ),
  },
  errors: ['NOT_FOUND_ERROR', 'RATE_LIMIT_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const JobsStatus = Type.Object(
  {
    pending: Type.Integer({ description: 'Jobs that wait in the queues, including delayed ones' }),
    processing: Type.Integer({ description: 'Jobs that workers process now' }),
    completed: Type.Integer({
      description:
        'Rows whose work is done: settled payments and refunds, delivered webhooks, processed transactions and events',
    }),
    failed: Type.Integer({
      description:
        'Rows whose work ended without success: declined payments, refused refunds, webhooks without attempts left',
    }),
    worker_status: Type.Enum(['running', 'stopped'], { type: 'string' }),
  },
  {
    description: 'The state of the queues',
    examples: [{ pending: 5, processing: 2, completed: 100, failed: 0, worker_status: 'running' }],
  },
)
export type JobsStatus = Static<typeof JobsStatus>

export const getJobsStatus = defineRoute({
  method: 'GET',
  url: '/api/v1/test/jobs/status',
  operationId: 'getJobsStatus',
  summary: 'Read the state of the job queues',
  tags,
  rateLimited: true,
  response: { 200: JobsStatus },
  errors: ['RATE_LIMIT_ERROR', 'SERVICE_UNAVAILABLE'],
})
