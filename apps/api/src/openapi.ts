// OpenAPI 3.1 from the contracts, and the reference page.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { ApiDeps, App } from './app.ts'

export async function describeApi(app: App, { config }: Pick<ApiDeps, 'config'>): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version: '0.1.0',
        description:
          'Payment events: recorded durably before they are answered, processed in the background, exactly once in effect.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: config.publicApiUrl }],
      tags: [{ name: 'Transactions' }, { name: 'Operations' }],
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
