/** What a test of routers works with: an image, CloudStack's scripts packed, and a lab to start routers in. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defaultPipeline, loadPipeline } from '../../src/config/load.ts'
import { outFolderAt } from '../../src/host/out-folder.ts'
import { chooseAccelerator } from '../../src/qemu/accelerator.ts'
import { findKernels } from '../../src/qemu/kept-kernels.ts'
import { describeUnless, describeWith } from '../support/tools.ts'
import { chooseProcessor, type Processor } from './emulated-boot.ts'
import { arch, buildImage, variant } from './image.ts'
import { type Lab, makeLab } from './lab.ts'
import { type Router, type RouterOptions, startRouter } from './router-guest.ts'
import { cloudstackSource, describeWithSource, packTree } from './tree.ts'

export interface Bench {
  readonly lab: Lab
  /** Folder that is removed by `close`. */
  readonly folder: string
  readonly start: (
    name: string,
    options: Pick<RouterOptions, 'cards' | 'controlAddress' | 'words'>,
  ) => Promise<Router>
  /** Ends all guests and hosts, and removes what they left. */
  readonly close: () => Promise<void>
}

const outFolder = fileURLToPath(new URL('../../out', import.meta.url))
const isRoot = process.getuid?.() === 0

/** What the lab and its hosts are made with. */
const programs = ['ip', 'udhcpc', 'dig', 'curl', 'python3', 'ssh', 'scp']

/** `describe` for tests that start routers; skipped by name where something is missing that they need. */
export function describeRouter(title: string, define: () => void): void {
  if (cloudstackSource === '') describeWithSource(title, define)
  else if (isRoot) describeWith(programs, title, define)
  else describeUnless('only root makes network namespaces', title, define)
}

export async function openBench(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'rt-'))
  const over = new AbortController()
  const image = process.env.SYSTEMVM_TEST_IMAGE ?? (await buildImage())
  const processor = await prepareProcessor(image, folder, over.signal)
  const { agent, scripts, patcher } = packTree(cloudstackSource, folder)
  const lab = await makeLab()
  const routers: Router[] = []
  return {
    lab,
    folder,
    start: async (name, options) => {
      const router = await startRouter({
        ...options,
        ...{
          lab,
          image,
          processor,
          patch: [agent, scripts, patcher],
          folder: join(folder, name),
          signal: over.signal,
        },
      })
      routers.push(router)
      return router
    },
    close: async () => {
      for (const router of routers) await router.close()
      over.abort()
      await lab.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** How the guests of an image are executed here. */
async function prepareProcessor(image: string, folder: string, signal: AbortSignal): Promise<Processor> {
  const { images } = await loadPipeline(defaultPipeline, [])
  const resolved = images.find((candidate) => candidate.variant === variant)
  if (resolved === undefined) throw new Error(`the pipeline has no variant ${variant}`)
  const { path: cacheDir, kernels: kept } = outFolderAt(outFolder).cache
  const kernels = await findKernels(kept)
  const acceleration = await chooseAccelerator({ arch, kernels, cacheDir, signal })
  return chooseProcessor(image, resolved, acceleration, join(folder, 'boot'))
}
