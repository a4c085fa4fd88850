/** `sweep-main.ts FOLDER FILES`: sweeps a store in a process that may open FILES files, and prints the faults. */

import { execFileSync } from 'node:child_process'
import { openStore } from '../../src/store/store.ts'

const [folder = '', files] = process.argv.slice(2)
execFileSync('prlimit', [`--nofile=${files}:`, '--pid', String(process.pid)])
process.stdout.write(JSON.stringify(await openStore(folder).sweep()))
