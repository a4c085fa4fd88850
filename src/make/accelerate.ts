/** Chooses between KVM and emulation for the guests of a run. */

import { outFolderAt } from '../host/out-folder.ts'
import { type AcceleratorChoice, chooseAccelerator } from '../qemu/accelerator.ts'
import { keepKernel } from '../qemu/kept-kernels.ts'
import type { Run } from './run.ts'

/** Finds out whether KVM works here by booting the guest's kernel. */
export async function accelerate(run: Run, kernel: string): Promise<AcceleratorChoice> {
  const { runFolder, request, emit, plan } = run
  const { cache } = outFolderAt(runFolder.outFolder)
  const choice = await chooseAccelerator({
    arch: plan.image.arch,
    kernels: [kernel],
    cacheDir: cache.path,
    force: request.forceAccelerator,
    signal: request.signal,
  })
  const isNews = run.accelerator === undefined
  run.accelerator = choice
  // Kept for `doctor`, which has no layer to take a kernel from.
  await keepKernel(cache.kernels, kernel)
  if (isNews && choice.accelerator === 'tcg') emit({ kind: 'note', text: `without KVM: ${choice.reason}` })
  return choice
}
