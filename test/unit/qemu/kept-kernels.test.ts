import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { findKernels, keepKernel } from '../../../src/qemu/kept-kernels.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

it('the kernel of the last guest is kept, and no other', async () => {
  for (const kernel of ['one', 'two']) {
    writeFileSync(path(kernel), kernel)
    await keepKernel(path('kernels'), path(kernel))
  }
  expect(readdirSync(path('kernels'))).toEqual([sha256('two')])
  expect(await findKernels(path('kernels'))).toEqual([path('kernels', sha256('two'))])
})

it('what is no file is no kernel', async () => {
  mkdirSync(path('kernels', 'f'.repeat(64)), { recursive: true })
  expect(await findKernels(path('kernels'))).toEqual([])
})

it('a kernel that another of the same size has taken the place of is not booted', async () => {
  mkdirSync(path('kernels'))
  writeFileSync(path('kernels', sha256('one')), 'ONE')
  writeFileSync(path('kernels', 'vmlinuz'), 'one')
  expect(await findKernels(path('kernels'))).toEqual([])
  expect(await findKernels(path('none'))).toEqual([])
})
