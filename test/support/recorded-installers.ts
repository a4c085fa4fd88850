/** Syslogs of the real debian-installer as they arrived, each line with its time in seconds, played to a watch. */

import { readFileSync } from 'node:fs'
import type { PipelineError } from '../../src/errors.ts'
import type { InstallerPhase } from '../../src/installers/debian-installer/phases.ts'
import { parseSyslog } from '../../src/installers/debian-installer/syslog.ts'
import { watchInstaller } from '../../src/installers/debian-installer/watch.ts'

/** What a watch has made of a recording. */
export interface Replay {
  readonly phases: readonly InstallerPhase[]
  readonly progress: readonly string[]
  readonly failure: PipelineError | undefined
  /** Seconds from the last line of the recording to the failure; negative if it came before. */
  readonly failedAfterSeconds: number | undefined
}

interface Line {
  readonly seconds: number
  readonly datagram: string
}

export function readRecording(name: string): readonly Line[] {
  const text = readFileSync(new URL(`../fixtures/installer/${name}.log`, import.meta.url), 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [seconds = '', datagram = ''] = line.split('\t')
      return { seconds: Number(seconds), datagram }
    })
}

/** Replays a recording, then the given time of silence, with a look at the clock every second. */
export function replay(lines: readonly Line[], silentSeconds: number): Replay {
  let now = 0
  let failure: PipelineError | undefined
  let failedAt: number | undefined
  const phases: InstallerPhase[] = []
  const progress: string[] = []
  const watch = watchInstaller({
    onPhase: (phase) => phases.push(phase),
    onProgress: (text) => progress.push(text),
    onFailure: (error) => {
      failure = error
      failedAt = now
    },
    logs: { syslog: 'installer-syslog.log', serial: 'installer-serial.log' },
    nowMs: () => now * 1000,
  })
  const passUntil = (seconds: number) => {
    for (; now + 1 <= seconds; now += 1) watch.tick()
    now = seconds
  }
  for (const { seconds, datagram } of lines) {
    passUntil(seconds)
    for (const message of parseSyslog(datagram)) watch.syslog(message)
  }
  const last = now
  passUntil(last + silentSeconds)
  return {
    phases,
    progress,
    failure,
    failedAfterSeconds: failedAt === undefined ? undefined : failedAt - last,
  }
}
