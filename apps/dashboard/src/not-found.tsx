// The page for unknown addresses.
import { useEffect } from 'react'
import { Link } from 'wouter'
import { Notice } from './design/notice.tsx'

export function NotFoundPage() {
  useEffect(() => {
    document.title = 'Not found · Sluice'
  }, [])
  return (
    <Notice title="There is no such page" heading="h1">
      <p>The address may be mistyped, or the page has moved.</p>
      <p>
        <Link href="/payments">Go to Payments</Link>
      </p>
    </Notice>
  )
}
