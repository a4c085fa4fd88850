#!/usr/bin/env node
import { pathToFileURL } from 'node:url'
import { compileProgram } from '../src/compile/program.js'

const folder = await compileProgram(['bench', 'pipeline.ts', 'provisioners', 'src', 'test/support'])
await import(pathToFileURL(`${folder}/bench/run.js`).href)
