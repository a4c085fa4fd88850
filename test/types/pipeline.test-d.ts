/**
 * What must not compile, proved by `npm run typecheck`: each `@ts-expect-error` below is itself an error as soon as the
 * line under it compiles. Nothing here ever runs.
 */

import { apt_upgrade } from '../../provisioners/apt_upgrade.ts'
import { configure_locale } from '../../provisioners/configure_locale.ts'
import { definePipeline, type Pipeline } from '../../src/config/pipeline.ts'
import { defineStage, z } from '../../src/config/stage.ts'
import type { BuildEvent } from '../../src/report/events.ts'
import { openStore } from '../../src/store/store.ts'

const sound: Omit<Pipeline, 'stages'> = {
  name: 'sample',
  release: '1.0',
  date: '2026-01-02',
  variants: [{ suite: 'trixie', arch: 'x86_64' }],
  disk: { sizeMiB: 1260, partitions: [{ mount: '/', filesystem: 'ext4', grow: true }] },
  hostname: 'sample',
  domain: 'example.org',
  account: { name: 'tester' },
  targets: ['kvm'],
}

// --- imports of pipeline.ts ---

// @ts-expect-error a misspelled stage
export { configure_gurb } from '../../provisioners/configure_grub.ts'

// @ts-expect-error a misspelled file of a stage
export { configure_grub } from '../../provisioners/configure_gurb.ts'

// --- the pipeline ---

export const compiles = definePipeline({
  ...sound,
  stages: [apt_upgrade({ backports: true }), configure_locale()],
})

definePipeline({ ...sound, installer: { image: '/srv/golden.qcow2' }, stages: [] })

// @ts-expect-error an installer that is none of ours
definePipeline({ ...sound, installer: 'anaconda', stages: [] })

// @ts-expect-error a suite that is none of ours
definePipeline({ ...sound, variants: [{ suite: 'buster', arch: 'x86_64' }], stages: [] })

// @ts-expect-error an architecture that is none of ours
definePipeline({ ...sound, variants: [{ suite: 'trixie', arch: 'amd64' }], stages: [] })

// @ts-expect-error a hypervisor that is none of ours
definePipeline({ ...sound, targets: ['kvn'], stages: [] })

// @ts-expect-error a misspelled field
definePipeline({ ...sound, hostnaem: 'sample', stages: [] })

// @ts-expect-error a misspelled field below another
definePipeline({ ...sound, machine: { memoryMib: 512 }, stages: [] })

// @ts-expect-error a number as text
definePipeline({ ...sound, disk: { sizeMiB: '1260', partitions: [] }, stages: [] })

definePipeline({ ...sound, waivers: [{ check: 'F7', reason: 'old browsers' }], stages: [] })

definePipeline({ ...sound, formats: 'cloudstack', stages: [] })

// @ts-expect-error a preset that is none of ours
definePipeline({ ...sound, formats: 'cloudstuck', stages: [] })

// @ts-expect-error a check that is none of the contract's
definePipeline({ ...sound, waivers: [{ check: 'F77', reason: 'old browsers' }], stages: [] })

// @ts-expect-error a waiver without its reason
definePipeline({ ...sound, waivers: [{ check: 'F7' }], stages: [] })

// @ts-expect-error no stages
definePipeline({ ...sound })

// @ts-expect-error the name of a stage instead of a stage
definePipeline({ ...sound, stages: ['apt_upgrade'] })

// @ts-expect-error a stage that was not called
definePipeline({ ...sound, stages: [apt_upgrade] })

// --- settings of a stage ---

// @ts-expect-error a misspelled setting
apt_upgrade({ backport: true })

// @ts-expect-error a setting of the wrong type
apt_upgrade({ backports: 'yes' })

// @ts-expect-error a setting for a stage that has none of that name
configure_locale({ backports: true })

// --- a stage's own declaration ---

export const greet = defineStage({
  name: 'greet',
  summary: 'a greeting',
  from: import.meta.url,
  settings: { greeting: z.string(), times: z.int().default(1) },
  environment: ({ greeting, times }) => ({ GREETING: greeting.trim(), TIMES: times.toFixed(0) }),
})

greet({ greeting: 'hello' })

// @ts-expect-error a setting without a default is missing
greet({ times: 2 })

defineStage({
  name: 'wrong',
  summary: 'uses a setting that it does not declare',
  from: import.meta.url,
  settings: { greeting: z.string() },
  // @ts-expect-error no such setting
  environment: ({ greetings }) => ({ GREETING: greetings }),
})

defineStage({
  name: 'wrong',
  summary: 'asks for a fact that images do not have',
  from: import.meta.url,
  // @ts-expect-error no such fact
  environment: (_settings, image) => ({ SUITE: image.release_name }),
})

defineStage({
  name: 'wrong',
  summary: 'gives a script something that is no text',
  from: import.meta.url,
  settings: { times: z.int() },
  // @ts-expect-error a number in the environment
  environment: ({ times }) => ({ TIMES: times }),
})

// @ts-expect-error a declaration without a summary
defineStage({ name: 'wrong', from: import.meta.url })

// --- events ---

// @ts-expect-error an event that no reporter knows
export const unknown: BuildEvent = { kind: 'stage-began', name: 'greet' }

// --- keys of layers ---

// @ts-expect-error a text is no key
openStore('store').disk('0'.repeat(64))
