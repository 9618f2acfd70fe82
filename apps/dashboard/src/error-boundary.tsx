// A page that breaks says so, instead of leaving a blank screen.
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
      <Notice title="This page broke" tone="danger" heading="h1">
        <p>That is a mistake of ours; nothing that was recorded is affected.</p>
        <Button onClick={() => window.location.reload()}>Load the page again</Button>
      </Notice>
    )
  }
}
