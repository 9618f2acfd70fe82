// The syntax rules for a webhook's URL, and that nothing is posted to an invalid one.
import { expect, test } from 'vitest'
import { createOutbound } from './outbound-http.ts'

const outbound = createOutbound({ allowPrivate: true })
const post = (url: string, headers = {}) => outbound.post(url, { headers, body: '' })

test.each([
  'http://shop.example',
  'https://shop.example:8443/hooks?a=b&c=%20',
  'HTTPS://Shop.Example/',
  'http://localhost:4000/',
  'http://[::1]:4000/',
  'https://münchen.example/ü',
  `https://shop.example/${'x'.repeat(2048 - 21)}`,
])('%s is valid', (url) => {
  expect(outbound.urlProblem(url)).toBeUndefined()
})

test.each([
  ['', 'begin with'],
  ['shop.example', 'begin with'],
  ['/hooks', 'begin with'],
  ['http://', 'begin with'],
  ['http:///hooks', 'begin with'],
  ['http:shop.example', 'begin with'],
  ['http:\\\\shop.example', 'spaces'],
  ['ftp://shop.example', 'begin with'],
  ['javascript:alert(1)', 'begin with'],
  ['file:///etc/passwd', 'begin with'],
  [' http://shop.example', 'spaces'],
  ['http://shop.example/a b', 'spaces'],
  ['http://shop.\nexample/', 'spaces'],
  ['http://shop.example\\@evil.example/', 'spaces'],
  ['http://shop.example/\0', 'spaces'],
  ['http://shop.example:99999/', 'port from 1'],
  ['http://shop.example:0/', 'port 0'],
  ['http://[::1/', 'valid URL'],
  ['http://a<b/', 'valid URL'],
  ['http://999.1.1.1/', 'valid URL'],
  ['http://user@shop.example/', 'password'],
  ['http://user:secret@shop.example/', 'password'],
  ['http://:secret@shop.example/', 'password'],
  ['http://shop.example/#', 'fragment'],
  ['http://shop.example/#part', 'fragment'],
  [`https://shop.example/${'x'.repeat(2048 - 20)}`, '2048'],
])('%s is refused, at configuration and by a post', async (url, problem) => {
  expect(outbound.urlProblem(url)).toContain(problem)
  const result = await post(url)
  expect(result).toMatchObject({ is: 'failed', error: 'invalid_url' })
  expect(JSON.stringify(result)).not.toContain('secret')
})

test('a header with an invalid value fails the post, and the failure does not show the value', async () => {
  const headers = { 'x-signature': 'very\nsecret' }
  const result = await post('http://127.0.0.1/', headers)
  expect(result).toMatchObject({ is: 'failed', error: 'other' })
  expect(JSON.stringify(result)).not.toContain('secret')
})
