// A button that copies a text and confirms it.
import { useEffect, useState } from 'react'
import { Button } from './button.tsx'
import { CheckIcon, CopyIcon } from './icons.tsx'

const CONFIRM_MS = 2000

interface CopyButtonProps {
  text: string
  /** What is copied, as in "Copy command". */
  what: string
}

export function CopyButton({ text, what }: CopyButtonProps) {
  const [outcome, setOutcome] = useState<'copied' | 'refused'>()

  useEffect(() => {
    if (outcome === undefined) return
    const timer = setTimeout(() => setOutcome(undefined), CONFIRM_MS)
    return () => clearTimeout(timer)
  }, [outcome])

  async function copy() {
    try {
      // The clipboard is undefined on pages that come neither by https nor from localhost.
      await navigator.clipboard.writeText(text)
      setOutcome('copied')
    } catch {
      setOutcome('refused')
    }
  }

  const label = { copied: 'Copied', refused: 'Select the text to copy it' }[outcome ?? 'copied']
  return (
    <>
      <Button label={outcome === undefined ? `Copy ${what}` : label} onClick={copy}>
        {outcome === 'copied' ? <CheckIcon /> : <CopyIcon />}
      </Button>
      <span className="visually-hidden" role="status">
        {outcome === undefined ? '' : label}
      </span>
    </>
  )
}
