// A timestamp as "2 min ago", updated every second, with the exact time as tooltip.
import { formatAgo, formatTime } from '../format.ts'
import { useTicking } from '../ticker.ts'

export function RelativeTime({ iso, ...rest }: { iso: string; 'data-test-id'?: string }) {
  const then = Date.parse(iso)
  const text = useTicking((now) => formatAgo(then, now))
  return (
    <time dateTime={iso} title={`${formatTime(then)} UTC`} {...rest}>
      {text}
    </time>
  )
}
