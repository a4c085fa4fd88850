#!/usr/bin/env node
import { pathToFileURL } from 'node:url'
import { compileProgram } from '../src/compile/program.js'
import { nameSourcesInTraces } from '../src/compile/traces.js'

nameSourcesInTraces()
// Some CI systems set none: everyone on the host could then change the layers and images that we make.
process.umask(process.umask() | 0o002)
// A reader of our results may stop early, as `head` does.
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1))
const folder = await compileProgram().catch((error) => {
  console.error(`✖ the program could not be compiled: ${error.message}`)
  process.exit(1)
})
const { main } = await import(pathToFileURL(`${folder}/src/cli/main.js`).href)
process.exitCode = await main(process.argv.slice(2))
