// The icons, 16 by 16, in the colour of the text. Hidden from screen readers: every icon has a text or label.
import type { ReactNode } from 'react'

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  )
}

export function LogoMark() {
  return (
    <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="#0b6474" />
      <g fill="none" stroke="#fff" strokeWidth="2.75" strokeLinecap="round">
        <path d="M9 6v12.5M23 6v12.5M9 10.5h14" />
        <path d="M5.5 24.5c1.75-1.8 3.5-1.8 5.25 0s3.5 1.8 5.25 0 3.5-1.8 5.25 0 3.5 1.8 5.25 0" />
      </g>
    </svg>
  )
}

export const CheckIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6.25" />
    <path d="m5.25 8.25 1.9 1.9 3.6-4" />
  </Icon>
)

export const ClockIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6.25" />
    <path d="M8 4.75V8l2.1 1.4" />
  </Icon>
)

export const CrossIcon = () => (
  <Icon>
    <path d="M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4z" />
    <path d="m6 6 4 4m0-4-4 4" />
  </Icon>
)

export const ReturnIcon = () => (
  <Icon>
    <path d="M2.5 6.25h7.25a3.75 3.75 0 0 1 0 7.5H6" />
    <path d="M5.5 3 2.25 6.25 5.5 9.5" />
  </Icon>
)

export const WarningIcon = () => (
  <Icon>
    <path d="M8 2 1.75 13.25h12.5z" />
    <path d="M8 6.5v3M8 11.4v.1" />
  </Icon>
)

export const RefreshIcon = () => (
  <Icon>
    <path d="M13.5 8a5.5 5.5 0 1 1-1.7-3.97" />
    <path d="M13.75 1.75v3h-3" />
  </Icon>
)

export const CloseIcon = () => (
  <Icon>
    <path d="m3.5 3.5 9 9m0-9-9 9" />
  </Icon>
)

export const CopyIcon = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8.5" rx="1.5" />
    <path d="M10.5 3.25A1.5 1.5 0 0 0 9 2H4a1.5 1.5 0 0 0-1.5 1.5V10a1.5 1.5 0 0 0 1 1.4" />
  </Icon>
)

export const FirstIcon = () => (
  <Icon>
    <path d="m8.5 4-4 4 4 4M13 4 9 8l4 4M2.25 4v8" />
  </Icon>
)

export const PreviousIcon = () => (
  <Icon>
    <path d="M10 4 6 8l4 4" />
  </Icon>
)

export const NextIcon = () => (
  <Icon>
    <path d="m6 4 4 4-4 4" />
  </Icon>
)

export const LastIcon = () => (
  <Icon>
    <path d="m7.5 4 4 4-4 4M3 4l4 4-4 4M13.75 4v8" />
  </Icon>
)
