// The one button: quiet by default, or just an icon with its name told to screen readers and as a tooltip.
import type { ComponentProps } from 'react'
import styles from './button.module.css'

interface ButtonProps extends ComponentProps<'button'> {
  /** Only an icon is shown; this is its name. */
  label?: string
  /** Does nothing for now, but keeps the focus, which `disabled` would throw away. */
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
