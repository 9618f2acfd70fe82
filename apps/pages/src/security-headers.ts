// The security headers of every page, and of API responses that set none themselves.

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
    // Not no-referrer: the Origin of the pages' own forms would be null.
    'referrer-policy': 'same-origin',
    // For browsers without frame-ancestors; this header cannot allow single origins.
    ...(frameAncestors === "'none'" ? { 'x-frame-options': 'DENY' } : {}),
  }
}
