/** `watch`: builds up to a stage whenever one of its files changes, and shows what differs. */

import { once } from 'node:events'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { importAgain } from '../compile/import-module.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { buildImage } from '../make/make-image.ts'
import type { BuildRequest } from '../make/run.ts'
import type { StoreBound } from '../make/store-bound.ts'
import type { Accelerator } from '../qemu/machine.ts'
import { redactCommand } from '../redact.ts'
import { openStore, type Store } from '../store/store.ts'
import { type Baseline, openBaseline } from '../watch/baseline.ts'
import { commandStage, withCommand, writeCommand } from '../watch/command-stage.ts'
import { type Follower, followFiles } from '../watch/follow.ts'
import { createBell, runOnChanges } from '../watch/loop.ts'
import { planTarget, sourcesOf, type Target } from '../watch/target.ts'
import { untilInterrupted } from './interrupt.ts'
import { offerShell } from './on-failure.ts'
import { acceleratorOption, addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import { addUiOption, reportTo, type Terminal, type UiOptions } from './terminal.ts'
import type { Choose } from './verb.ts'
import { type Change, showChange } from './views/change.ts'
import { renderError } from './views/failure.ts'
import type { Reporter } from './views/progress.ts'
import { addWaitOption, type WaitOptions } from './wait.ts'

interface WatchOptions extends PipelineOptions, WaitOptions, UiOptions {
  readonly until?: string
  readonly then?: string
  readonly accelerator?: Accelerator
}

export function watchCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addUiOption(addWaitOption(addPipelineOptions(command)))
    .option('--until <stage>', 'the stage you are working on; by default the last')
    .option('--then <command>', 'run this in the guest after the stage; its changes are thrown away')
    .addOption(acceleratorOption())
    .action((options: WatchOptions) => choose(() => watch(options, terminal)))
}

/** A target and the change that triggered it. */
interface ChangedTarget extends Target, Pick<Change, 'changedMs'> {
  readonly bound: StoreBound | undefined
}

/** State that outlives a single change. */
interface Session {
  readonly options: WatchOptions
  readonly terminal: Terminal
  readonly outFolder: string
  readonly store: Store
  readonly follower: Follower
  readonly baseline: Baseline
  /** Script of the command to run after the stage, if any. */
  readonly command: string | undefined
  readonly signal: AbortSignal
  /** When a file last changed. */
  changedMs: number | undefined
  /** The last target that was made. */
  last: Target | undefined
  /** Shows the current run. */
  reporter: Reporter | undefined
  /** Settles when the shell that a person opened ends. */
  shell: Promise<unknown> | undefined
}

async function watch(options: WatchOptions, terminal: Terminal): Promise<number> {
  try {
    await untilInterrupted((signal) => inWorkFolder((folder) => watchIn(folder, options, terminal, signal)))
  } catch (error) {
    // Interruption is the only way to end it.
    if (!(error instanceof PipelineError && error.code === 'interrupted')) throw error
  }
  return exitCodes.interrupted
}

async function watchIn(
  folder: string,
  options: WatchOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const outFolder = resolvePath(options.out)
  const bell = createBell()
  const session: Session = {
    options,
    terminal,
    outFolder,
    store: openStore(outFolderAt(outFolder).store),
    follower: followFiles((changedMs) => {
      session.changedMs = changedMs
      bell.ring()
    }),
    baseline: openBaseline(),
    command: options.then === undefined ? undefined : await writeCommand(options.then, folder),
    signal,
    changedMs: undefined,
    last: undefined,
    reporter: undefined,
    shell: undefined,
  }
  const loop = {
    load: () => load(session),
    isSame: (one: Target, other: Target) => one.key === other.key,
    run: (target: ChangedTarget, fail: () => void, stopping: AbortSignal) =>
      make(session, target, fail, stopping),
    onFault: (error: unknown) => say(session, `\n${renderError(error, terminal.colors)}`),
  }
  try {
    await runOnChanges(loop, bell, signal)
  } finally {
    await session.follower.close()
    await session.baseline.close()
  }
}

/** Reads the pipeline as it is now, and follows its sources even if it has faults. */
async function load(session: Session): Promise<ChangedTarget> {
  const { options, store, follower, signal } = session
  // A person in the guest leaves it before the guest goes away.
  if (session.shell !== undefined) await Promise.race([session.shell, aborted(signal)])
  const { changedMs } = session
  const sources = new Set([options.pipeline, ...options.config].map((path) => resolvePath(path)))
  const read = (path: string) => importAgain(path, (source) => sources.add(source))
  try {
    const { pipeline, images } = await choosePipeline(options, 'download', undefined, read)
    const image = images[0] as ResolvedImage
    for (const path of sourcesOf(image)) sources.add(path)
    const target = await planTarget(image, options.until, store, signal)
    const { maximumStoreBytes: maximumBytes } = pipeline
    const bound = maximumBytes === undefined ? undefined : { maximumBytes, images: pipeline.images }
    return { ...target, bound, changedMs }
  } finally {
    follower.add(sources)
  }
}

/** Builds what a change requires and shows the result; ends soon after `stopping` is aborted. */
async function make(
  session: Session,
  target: ChangedTarget,
  fail: () => void,
  stopping: AbortSignal,
): Promise<void> {
  const { terminal, outFolder, baseline, store, last } = session
  const view = showChange({ ...target, planBefore: last?.plan }, terminal)
  const reporter = reportTo(terminal, outFolder, session.options)
  session.last = target
  session.reporter = reporter
  try {
    const report = await buildImage({
      ...requestFor(session, target, last === undefined),
      decide: offerShell(terminal, process, {
        onHeld: fail,
        onShell: (closed) => {
          session.shell = closed
        },
      }),
      emit: view.filter(reporter.emit, commandStage, stopping),
      signal: stopping,
    })
    if (stopping.aborted) return
    view.conclude(report)
    if (report.run.failure !== undefined) return fail()
    const difference = await baseline.compare({ ...target, file: store.disk(target.key) }, stopping)
    if (difference !== undefined) view.showDifference(difference)
  } catch (error) {
    if (stopping.aborted) return
    fail()
    terminal.error(renderError(error, terminal.colors))
  } finally {
    reporter.close()
    session.reporter = undefined
  }
}

/** Prints text that ends with a line feed, above the lines for what is running. */
function say({ reporter, terminal }: Session, text: string): void {
  const show = () => terminal.error(text)
  if (reporter === undefined) show()
  else reporter.aside(show)
}

function requestFor(
  session: Session,
  { image, stage, bound }: ChangedTarget,
  isFirst: boolean,
): Omit<BuildRequest, 'decide' | 'emit' | 'signal'> {
  const { options, outFolder, command } = session
  const after = command === undefined ? undefined : commandStage
  return {
    image: command === undefined ? image : withCommand(image, stage, command),
    outFolder,
    // Making the stage once suspends the guest before it, ready for the first change. A command is run every time.
    planning: { from: isFirst ? stage : after, until: after ?? stage },
    workedOn: stage,
    throwAway: after,
    forceAccelerator: options.accelerator,
    wait: options.wait,
    bound,
    command: ['systemvm-image', ...redactCommand(process.argv.slice(2))],
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
