/** The verbs, in the order of `--help`. Loads only the module of the requested verb. */

import type { Verb } from './verb.ts'

export const verbs: readonly Verb[] = [
  {
    name: 'plan',
    summary: 'show what a build would do, and why; touches nothing',
    load: async () => (await import('./plan.ts')).planCommand,
  },
  {
    name: 'render',
    summary: 'write the Packer template and the preseed of a variant',
    load: async () => (await import('./render.ts')).renderCommand,
  },
  {
    name: 'build',
    summary: 'build the image, from the first stage that changed',
    load: async () => (await import('./build.ts')).buildCommand,
  },
  {
    name: 'watch',
    summary: 'build up to a stage whenever one of its files is saved, and show what that changed',
    load: async () => (await import('./watch.ts')).watchCommand,
  },
  {
    name: 'doctor',
    summary: 'check whether this host can build',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'setup',
    summary: 'install missing host packages',
    load: async () => (await import('./setup.ts')).setupCommand,
  },
  {
    name: 'export',
    summary: 'make files for hypervisors from any disk image',
    load: async () => (await import('./export.ts')).exportCommand,
  },
  {
    name: 'shell',
    summary: 'boot a throwaway copy of the disk as a stage left it, and open a root shell in it',
    load: async () => (await import('./shell.ts')).shellCommand,
  },
  {
    name: 'diff',
    summary: 'show what a stage changed, or how two disks differ, without booting them',
    load: async () => (await import('./diff.ts')).diffCommand,
  },
  {
    name: 'store',
    summary: 'list, check, remove and share layers',
    load: async () => (await import('./store.ts')).storeCommand,
  },
  {
    name: 'clean',
    summary: 'remove layers, runs and reports; with --all, everything else too',
    load: async () => (await import('./clean.ts')).cleanCommand,
  },
  {
    name: 'verify',
    summary: 'boot image files and check them against what CloudStack relies on',
    load: async () => (await import('./verify.ts')).verifyCommand,
  },
  {
    name: 'run',
    summary: 'boot an image file on this terminal, as CloudStack would; the file is not changed',
    load: async () => (await import('./run.ts')).runCommand,
  },
  {
    name: 'matrix',
    summary: 'print the variants as a GitHub Actions matrix; an empty one is not an error',
    load: async () => (await import('./matrix.ts')).matrixCommand,
  },
  {
    name: 'lock',
    summary: 'record in pipeline.lock.yaml what images are made from',
    load: async () => (await import('./lock.ts')).lockCommand,
  },
  {
    name: 'release',
    summary: 'make a release of the images: files, checksums, bills of materials, provenance, notes',
    load: async () => (await import('./release.ts')).releaseCommand,
  },
  {
    name: 'publish',
    summary: 'upload a release to a folder or an object store, in the layout of CloudStack’s mirrors',
    load: async () => (await import('./publish.ts')).publishCommand,
  },
  {
    name: 'register',
    summary: 'register released images as templates in CloudStack; print how to seed system VM templates',
    load: async () => (await import('./register.ts')).registerCommand,
  },
  {
    name: 'reproduce',
    summary: 'rebuild a release from its commit, and compare every file',
    load: async () => (await import('./reproduce.ts')).reproduceCommand,
  },
  {
    name: 'report',
    summary: 'write the report of a run as a web page, or open it; can compare it with an earlier one',
    load: async () => (await import('./report.ts')).reportCommand,
  },
  {
    name: 'summary',
    summary: 'print the last build as Markdown: stages, sizes, checks; for GitHub’s step summary',
    load: async () => (await import('./summary.ts')).summaryCommand,
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of --config for a pipeline with its stages, for YAML editors',
    load: async () => (await import('./schema.ts')).schemaCommand,
  },
  {
    name: 'init',
    summary: 'create a repository for a small appliance: a pipeline, two stages, tests, a workflow',
    load: async () => (await import('./init.ts')).initCommand,
  },
  {
    name: 'completion',
    summary: 'print a shell completion script, for the shell’s startup file',
    load: async () => (await import('./completion.ts')).completionCommand,
  },
]
