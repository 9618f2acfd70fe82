// The frame around every page: skip link, product name, navigation.
import type { ReactNode } from 'react'
import { Link, useRoute } from 'wouter'
import { LogoMark } from './design/icons.tsx'
import styles from './shell.module.css'

const pages = [{ href: '/payments', label: 'Payments' }]

export function Shell({ children }: { children: ReactNode }) {
  return (
    <>
      <a className={styles.skip} href="#content">
        Skip to content
      </a>
      <header className={styles.header}>
        <div className={styles.bar}>
          <Link href="/" className={styles.brand!}>
            <LogoMark />
            Sluice
          </Link>
          <nav aria-label="Main">
            <ul className={styles.pages}>
              {pages.map(({ href, label }) => (
                <li key={href}>
                  <PageLink href={href}>{label}</PageLink>
                </li>
              ))}
            </ul>
          </nav>
        </div>
      </header>
      <main id="content" className={styles.main} tabIndex={-1}>
        {children}
      </main>
    </>
  )
}

function PageLink({ href, children }: { href: string; children: ReactNode }) {
  const [here] = useRoute(href)
  return (
    <Link href={href} className={styles.page!} aria-current={here ? 'page' : undefined}>
      {children}
    </Link>
  )
}
