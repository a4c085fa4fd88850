import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { quote } from '../../../src/host/shell-words.ts'

it.each(['sh', 'bash'])('every text is one word of %s', (shell) => {
  const words = ['', 'a b', "it's", '$HOME `x` "y" \\', 'two\nlines', "'", "''", '-n', '*', 'ä']
  const script = `printf '%s\\0' ${words.map(quote).join(' ')}`
  expect(execFileSync(shell, ['-c', script], { encoding: 'utf8' })).toBe(
    words.map((word) => `${word}\0`).join(''),
  )
})
