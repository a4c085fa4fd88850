import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { execa } from 'execa'
import { expect, it } from 'vitest'
import { explainSystemError } from '../../../src/cli/system-error.ts'

it('tells a program that is missing by its name, however it was started', async () => {
  const expected = { code: 'tools', message: 'this host lacks no-such-program', exitCode: 3 }
  const spawned = await once(spawn('no-such-program'), 'exit').catch((error) => error)
  expect(explainSystemError(spawned)).toMatchObject(expected)
  const called = await execa('no-such-program').catch((error) => error)
  expect(explainSystemError(called)).toMatchObject(expected)
})
