import { readFileSync, symlinkSync } from 'node:fs'
import { expect, it } from 'vitest'
import { explainSystemError } from '../../../src/cli/system-error.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

const thrownBy = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return error
  }
}

it('tells failures of the host by file, reason and remedy', () => {
  symlinkSync(path('circle'), path('circle'))
  const found = explainSystemError(thrownBy(() => readFileSync(path('circle'))))
  expect(found).toMatchObject({
    code: 'unreadable',
    message: `cannot open ${path('circle')}: its links lead back to themselves (ELOOP)`,
    hint: 'remove one of them.',
    exitCode: 3,
  })
})

it('leaves mistakes of the program to be told as such', () => {
  expect(explainSystemError(new TypeError('x is undefined'))).toBeUndefined()
  expect(explainSystemError(thrownBy(() => readFileSync(path('none'))))).toBeUndefined()
  expect(explainSystemError('EACCES')).toBeUndefined()
})
