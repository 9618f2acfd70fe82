// A moment as "2 min ago", which ticks, with the exact time as its tooltip.
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
