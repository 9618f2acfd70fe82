// The error body of every route and status, and the table of error codes.
import { type Static, Type } from 'typebox'

/** Every error code with its HTTP status. */
export const errorStatus = {
  BAD_REQUEST_ERROR: 400,
  INVALID_VPA: 400,
  INVALID_CARD: 400,
  EXPIRED_CARD: 400,
  AUTHENTICATION_ERROR: 401,
  FORBIDDEN: 403,
  NOT_FOUND_ERROR: 404,
  CONFLICT_ERROR: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMIT_ERROR: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
} as const

export type ErrorCode = keyof typeof errorStatus

export const ErrorBody = Type.Object(
  {
    error: Type.Object({
      code: Type.String({
        description: `One of these, each with its HTTP status: ${Object.entries(errorStatus)
          .map(([code, status]) => `\`${code}\` (${status})`)
          .join(', ')}`,
      }),
      description: Type.String({ description: 'Which field is wrong, and what is expected' }),
      field: Type.Optional(Type.String({ description: 'The name of the wrong field' })),
      reason: Type.Optional(Type.String({ description: 'A more specific cause within the code' })),
      request_id: Type.Optional(Type.String({ description: 'The id to quote in a support request' })),
    }),
  },
  { description: 'The shape of every error' },
)
export type ErrorBody = Static<typeof ErrorBody>
