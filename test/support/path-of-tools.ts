/** Where to find the programs that judge what we wrote. */

import { delimiter } from 'node:path'

export const toolFolders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']

/** `PATH` with the folders of root's programs, which a user's PATH leaves out. */
export const pathOfTools = toolFolders.join(delimiter)
