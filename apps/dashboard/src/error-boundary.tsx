// Shows a message instead of a blank screen when rendering a page throws.
import { Component, type ReactNode } from 'react'
import { Button } from './design/button.tsx'
import { Notice } from './design/notice.tsx'

export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError() {
    return { failed: true }
  }

  override render() {
    if (!this.state.failed) return this.props.children
    return (
      <Notice title="This page failed" tone="danger" heading="h1">
        <p>The page has a bug. No recorded data is affected.</p>
        <Button onClick={() => window.location.reload()}>Reload the page</Button>
      </Notice>
    )
  }
}
