/** `sweep-main.ts FOLDER FILES`: sweeps a store as a process that may open so many files, and prints the faults. */

import { execFileSync } from 'node:child_process'
import { openStore } from '../../src/store/store.ts'

const [folder = '', files] = process.argv.slice(2)
execFileSync('prlimit', [`--nofile=${files}:`, '--pid', String(process.pid)])
process.stdout.write(JSON.stringify(await openStore(folder).sweep()))
