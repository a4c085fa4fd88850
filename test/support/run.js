/** `run.js FILE WORD...`: runs TypeScript of `src/` or `test/support/` in a process of its own. */

import { pathToFileURL } from 'node:url'
import { compileProgram } from '../../src/compile/program.js'

const [file = ''] = process.argv.splice(2, 1)
const folder = await compileProgram(['src', 'test/support'])
await import(pathToFileURL(`${folder}/${file.replace(/\.ts$/, '.js')}`).href)
