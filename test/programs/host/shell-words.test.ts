import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { quote } from '../../../src/host/shell-words.ts'
import { oneAtATime } from '../../../src/host/turns.ts'

it.each(['sh', 'bash'])('every text is one word of %s', (shell) => {
  const words = ['', 'a b', "it's", '$HOME `x` "y" \\', 'two\nlines', "'", "''", '-n', '*', 'ä']
  const script = `printf '%s\\0' ${words.map(quote).join(' ')}`
  expect(execFileSync(shell, ['-c', script], { encoding: 'utf8' })).toBe(
    words.map((word) => `${word}\0`).join(''),
  )
})

it('actions in turn do not overlap, and go on after one that fails', async () => {
  const inTurn = oneAtATime()
  const seen: string[] = []
  const act = (name: string) =>
    inTurn(async () => {
      seen.push(`${name} begins`)
      await Promise.resolve()
      seen.push(`${name} ends`)
      if (name === 'b') throw new Error('b failed')
      return name
    })
  const results = await Promise.allSettled(['a', 'b', 'c'].map(act))
  expect(seen).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]))
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'))).toEqual([
    'a',
    'failed',
    'c',
  ])
})
