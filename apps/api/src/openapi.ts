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
      // The page's own origin first: it may be opened as localhost, and browsers keep origins apart.
      servers: [{ url: '/' }, { url: config.publicApiUrl }],
      tags: [{ name: 'Transactions' }, { name: 'Operations' }],
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: { title: 'Sluice API' },
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', displayRequestDuration: true },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
