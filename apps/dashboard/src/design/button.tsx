// The button of all pages, with a text or with an icon; an icon has its name as tooltip and for screen readers.
import type { ComponentProps } from 'react'
import styles from './button.module.css'

interface ButtonProps extends ComponentProps<'button'> {
  /** The name of a button that shows only an icon. */
  label?: string
  /** Ignores clicks for now. Unlike with `disabled`, the button keeps the focus. */
  inactive?: boolean
}

export function Button({ label, inactive = false, onClick, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={label === undefined ? styles.button : styles.icon}
      aria-label={label}
      title={label}
      aria-disabled={inactive || undefined}
      onClick={inactive ? undefined : onClick}
      {...rest}
    >
      {children}
    </button>
  )
}
