// The paging of the list: first, previous, next and last page.
import { Button } from '../design/button.tsx'
import { FirstIcon, LastIcon, NextIcon, PreviousIcon } from '../design/icons.tsx'
import { formatCount } from '../format.ts'
import styles from './pager.module.css'
import { PAGE_SIZE } from './queries.ts'

interface PagerProps {
  page: number
  total: number
  onShow: (page: number) => void
}

export function Pager({ page, total, onShow }: PagerProps) {
  const last = Math.ceil(total / PAGE_SIZE)
  const from = (page - 1) * PAGE_SIZE + 1
  const to = Math.min(page * PAGE_SIZE, total)
  const moves = [
    { label: 'First page', icon: <FirstIcon />, to: 1, inactive: page === 1 },
    { label: 'Previous page', icon: <PreviousIcon />, to: page - 1, inactive: page === 1 },
    { label: 'Next page', icon: <NextIcon />, to: page + 1, inactive: page === last },
    { label: 'Last page', icon: <LastIcon />, to: last, inactive: page === last },
  ]
  const [first, previous, next, end] = moves.map((move) => (
    <Button key={move.label} label={move.label} inactive={move.inactive} onClick={() => onShow(move.to)}>
      {move.icon}
    </Button>
  ))
  return (
    <nav className={styles.pager} aria-label="Pages">
      <p data-test-id="shown-range">
        {formatCount(from)}–{formatCount(to)} of {formatCount(total)}
      </p>
      {last > 1 && (
        <div className={styles.moves}>
          {first}
          {previous}
          <span className={styles.page} data-test-id="page-number">
            Page {formatCount(page)} of {formatCount(last)}
          </span>
          {next}
          {end}
        </div>
      )}
    </nav>
  )
}
