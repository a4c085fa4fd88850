/** Where the programs are that judge what we wrote. */

import { delimiter } from 'node:path'

export const toolFolders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']

/** `PATH` with the folders of root's programs, which users' leaves out. */
export const pathOfTools = toolFolders.join(delimiter)
