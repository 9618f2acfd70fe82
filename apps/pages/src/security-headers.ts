// What browsers are told to refuse on every page, and on whatever the API answers that says nothing itself.

/** @param frameAncestors who may show the pages in a frame, as in CSP */
export function securityHeaders(frameAncestors: string): Record<string, string> {
  const policy = [
    "default-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "style-src 'self'",
    `frame-ancestors ${frameAncestors}`,
    "base-uri 'none'",
    "form-action 'self'",
    "object-src 'none'",
  ]
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    // Not no-referrer: the Origin of our own forms would be null.
    'referrer-policy': 'same-origin',
    // For browsers that don't know frame-ancestors; anything finer than nobody can't be said here.
    ...(frameAncestors === "'none'" ? { 'x-frame-options': 'DENY' } : {}),
  }
}
