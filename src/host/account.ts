/** The account that this program runs as. In a container, its user ID may have no entry in the user database. */

import { userInfo } from 'node:os'

export interface Account {
  /** undefined if the user database has no entry. */
  readonly name: string | undefined
  /** The name, or `uid 1234`. */
  readonly text: string
}

export function findAccount(): Account {
  try {
    const { username } = userInfo()
    return { name: username, text: username }
  } catch {
    return { name: undefined, text: `uid ${process.getuid?.()}` }
  }
}
