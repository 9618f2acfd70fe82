// A message in place of content, for empty lists, errors and unknown pages.
import type { ReactNode } from 'react'
import styles from './notice.module.css'

interface NoticeProps {
  title: string
  heading?: 'h1' | 'h2'
  tone?: 'plain' | 'danger'
  icon?: ReactNode
  children?: ReactNode
}

export function Notice({ title, heading: Heading = 'h2', tone = 'plain', icon, children }: NoticeProps) {
  return (
    <div className={styles.notice} data-tone={tone} role={tone === 'danger' ? 'alert' : undefined}>
      {icon !== undefined && <span className={styles.icon}>{icon}</span>}
      <Heading className={styles.title}>{title}</Heading>
      {children}
    </div>
  )
}
