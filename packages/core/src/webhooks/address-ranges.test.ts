// Every special range of the IANA registries, by its first and last address and by its neighbours.
// Registries: iana-ipv4-special-registry, iana-ipv6-special-registry, multicast and address space.
import { describe, expect, test } from 'vitest'
import { isPublicAddress } from './address-ranges.ts'

const refused: [range: string, ...addresses: string[]][] = [
  ['0.0.0.0/8 this network', '0.0.0.0', '0.0.0.1', '0.255.255.255'],
  ['10.0.0.0/8 private', '10.0.0.0', '10.1.2.3', '10.255.255.255'],
  ['100.64.0.0/10 CGNAT', '100.64.0.0', '100.127.255.255'],
  ['127.0.0.0/8 loopback', '127.0.0.0', '127.0.0.1', '127.255.255.255'],
  ['169.254.0.0/16 link-local', '169.254.0.0', '169.254.169.254', '169.254.255.255'],
  ['172.16.0.0/12 private', '172.16.0.0', '172.31.255.255'],
  ['192.0.0.0/24 IETF', '192.0.0.0', '192.0.0.8', '192.0.0.9', '192.0.0.170', '192.0.0.255'],
  ['192.0.2.0/24 documentation', '192.0.2.0', '192.0.2.255'],
  ['192.31.196.0/24 AS112', '192.31.196.0', '192.31.196.255'],
  ['192.52.193.0/24 AMT', '192.52.193.0', '192.52.193.255'],
  ['192.88.99.0/24 6to4 relays', '192.88.99.0', '192.88.99.255'],
  ['192.168.0.0/16 private', '192.168.0.0', '192.168.255.255'],
  ['192.175.48.0/24 AS112', '192.175.48.0', '192.175.48.255'],
  ['198.18.0.0/15 benchmarking', '198.18.0.0', '198.19.255.255'],
  ['198.51.100.0/24 documentation', '198.51.100.0', '198.51.100.255'],
  ['203.0.113.0/24 documentation', '203.0.113.0', '203.0.113.255'],
  ['224.0.0.0/4 multicast', '224.0.0.0', '239.255.255.255'],
  ['240.0.0.0/4 reserved', '240.0.0.0', '255.255.255.254'],
  ['255.255.255.255 broadcast', '255.255.255.255'],
  ['::/128 unspecified', '::', '0:0:0:0:0:0:0:0'],
  ['::1/128 loopback', '::1', '0:0:0:0:0:0:0:1'],
  ['::/96 IPv4-compatible', '::7f00:1', '::127.0.0.1', '::8.8.8.8'],
  ['::ffff:0:0/96 mapped', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::ffff:8.8.8.8'],
  ['::ffff:0:0:0/96 translated', '::ffff:0:127.0.0.1', '::ffff:0:8.8.8.8'],
  ['64:ff9b::/96 NAT64', '64:ff9b::', '64:ff9b::7f00:1', '64:ff9b::10.0.0.1', '64:ff9b::8.8.8.8'],
  ['64:ff9b:1::/48 local NAT64', '64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
  ['100::/64 discard', '100::', '100::ffff:ffff:ffff:ffff'],
  ['100:0:0:1::/64 dummy', '100:0:0:1::', '100:0:0:1:ffff:ffff:ffff:ffff'],
  ['2001::/32 Teredo', '2001::', '2001:0:7f00:1::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001::/23 IETF', '2001:1::1', '2001:1::2', '2001:1::3', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001:2::/48 benchmarking', '2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff'],
  ['2001:3::/32 AMT', '2001:3::', '2001:3:ffff::'],
  ['2001:4:112::/48 AS112', '2001:4:112::', '2001:4:112:ffff::'],
  ['2001:10::/28 ORCHID', '2001:10::', '2001:1f:ffff::'],
  ['2001:20::/28 ORCHIDv2', '2001:20::', '2001:2f:ffff::'],
  ['2001:30::/28 drones', '2001:30::', '2001:3f:ffff::'],
  ['2001:db8::/32 documentation', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2002::/16 6to4', '2002::', '2002:7f00:1::', '2002:808:808::1', '2002:ffff:ffff::'],
  ['2620:4f:8000::/48 AS112', '2620:4f:8000::', '2620:4f:8000:ffff::'],
  ['3fff::/20 documentation', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['4000::/3 and up, never allocated', '4000::', '5f00::', '5f00:ffff::1', '8000::1', 'e000::', 'fbff::1'],
  ['200::/7 and other low ones', '200::', '400::1', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fc00::/7 unique local', 'fc00::', 'fd00::1', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fe80::/10 link-local', 'fe80::', 'fe80::1', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fec0::/10 site-local', 'fec0::', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['ff00::/8 multicast', 'ff00::', 'ff02::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
]

const accepted = [
  ['1.0.0.0', '1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0'],
  ['126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0'],
  ['191.255.255.255', '192.0.1.0', '192.0.3.0', '192.88.98.255', '192.88.100.0', '192.167.255.255'],
  ['192.169.0.0', '198.17.255.255', '198.20.0.0', '198.51.99.255', '198.51.101.0', '203.0.112.255'],
  ['203.0.114.0', '223.255.255.255'],
  ['2000::', '2001:200::1', '2001:4860:4860::8888', '2001:db7:ffff::', '2001:db9::', '2003::1'],
  ['2606:4700:4700::1111', '2620:4f:7fff::', '2620:4f:8001::', '2a00:1450::1', '3ffe:ffff::', '3fff:1000::'],
].flat()

const notAddresses = [
  ['', ' ', 'localhost', 'example.com', '127.1', '0x7f.1', '2130706433', '8.8.8', '8.8.8.8.8', '08.8.8.8'],
  ['256.1.1.1', '8.8.8.8:80', '[2000::1]', '2000::1%eth0', 'fe80::1%1', '2000::/3', '8.8.8.8/32', ' 8.8.8.8'],
].flat()

describe('refused', () => {
  test.each(refused)('%s', (_range, ...addresses) => {
    for (const address of addresses) expect(isPublicAddress(address), address).toBe(false)
  })
})

test.each(accepted)('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})

test.each(notAddresses)('"%s" is no address, so it is not public', (text) => {
  expect(isPublicAddress(text)).toBe(false)
})
