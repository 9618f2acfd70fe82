// Validates requests by the contracts' schemas: bodies as they are, URL parts with coercion from text.
import AjvCompiler from '@fastify/ajv-compiler'
import type { App } from './deps.ts'

const strict = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: true,
  allErrors: false,
  // Errors then carry the schema, whose description names what is expected.
  verbose: true,
} as const

export function validateByContract(app: App): void {
  const compilers = AjvCompiler()
  app.setSchemaController({
    compilersFactory: {
      buildValidator(externalSchemas: unknown) {
        const compile = (options: object) =>
          compilers(externalSchemas as never, { customOptions: { ...strict, ...options } } as never)
        const asIs = compile({})
        // Text such as 1e400 becomes an infinite number, whose limits Ajv would otherwise leave unchecked.
        const coercing = compile({ coerceTypes: true, strictNumbers: false })
        // The default factory passes the route part to compile; its types do not declare that.
        return (part: unknown) =>
          ((part as { httpPart: string }).httpPart === 'body' ? asIs : coercing)(part as never)
      },
    },
  })
}
