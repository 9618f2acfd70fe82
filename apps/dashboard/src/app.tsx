// The routes of the dashboard: every page with its address.
import { Redirect, Route, Switch } from 'wouter'
import { ErrorBoundary } from './error-boundary.tsx'
import { NotFoundPage } from './not-found.tsx'
import { PaymentsPage } from './payments/payments-page.tsx'
import { Shell } from './shell.tsx'

export function DashboardApp() {
  return (
    <Shell>
      <ErrorBoundary>
        <Switch>
          <Route path="/">
            <Redirect to="/payments" replace />
          </Route>
          <Route path="/payments" component={PaymentsPage} />
          <Route component={NotFoundPage} />
        </Switch>
      </ErrorBoundary>
    </Shell>
  )
}
