// A hook that keeps the last defined value.
import { useState } from 'react'

/** The last value that was not undefined. */
export function useLatestDefined<T>(value: T | undefined): T | undefined {
  const [latest, setLatest] = useState(value)
  if (value !== undefined && value !== latest) setLatest(value)
  return value ?? latest
}
