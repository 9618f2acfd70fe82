// The address that a request counts for.
import { expect, test } from 'vitest'
import { countedAddress } from './rate-limits.ts'

test.for([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['unknown', 'no address'],
  ['x'.repeat(10_000), 'no address'],
  ['', 'no address'],
])('%j counts as %j', ([text, counted]) => {
  expect(countedAddress(text!)).toBe(counted)
})
