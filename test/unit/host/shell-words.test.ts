import { describe, expect, it } from 'vitest'
import { commandLine } from '../../../src/host/shell-words.ts'

describe('what a shell is to run', () => {
  it('is one word as it is: a line of shell', () => {
    expect(commandLine(['dpkg -l | wc -l'])).toBe('dpkg -l | wc -l')
  })

  it('is each of more words as it is', () => {
    expect(commandLine(['sh', '-c', `echo "$1; it's"`, 'sh', 'a  b'])).toBe(
      `'sh' '-c' 'echo "$1; it'\\''s"' 'sh' 'a  b'`,
    )
  })
})
