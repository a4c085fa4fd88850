/** Files that a test follows the way `watch` does, until it ends. */

import { appendFileSync } from 'node:fs'
import { afterEach } from 'vitest'
import { type Follower, followFiles } from '../../src/watch/follow.ts'

const followers: Follower[] = []
afterEach(() => Promise.all(followers.splice(0).map(({ close }) => close())))

/** Follows paths. Returns once a first change has shown that they are being followed. */
export async function follow(...paths: readonly string[]) {
  let count = 0
  const heard: (() => void)[] = []
  const follower = followFiles(() => {
    count += 1
    for (const resolve of heard.splice(0)) resolve()
  })
  followers.push(follower)
  follower.add(paths)
  const next = () => new Promise<void>((resolve) => heard.push(resolve))
  /** Does something, and waits until it is noticed. */
  const noticed = async (act: () => void) => {
    const heard = next()
    act()
    await heard
  }
  const first = next()
  const nudging = setInterval(() => appendFileSync(paths[0] as string, '\n'), 100)
  await first
  clearInterval(nudging)
  return { noticed, count: () => count }
}
