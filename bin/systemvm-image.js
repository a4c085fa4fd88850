#!/usr/bin/env node
import { register } from 'tsx/esm/api'

register()
// Whoever reads our results may stop early, as `head` does.
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1))
const { main } = await import('../src/cli/main.ts')
process.exitCode = await main(process.argv.slice(2))
