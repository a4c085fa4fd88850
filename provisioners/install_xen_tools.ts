import { defineStage, z } from '../src/api.ts'
import { parseFileSource } from '../src/config/file-source.ts'

/** No archive vouches for it, so its checksum has to. */
const file = z
  .string()
  .refine(
    (text) => parseFileSource(text).checksum !== undefined,
    'must end in #sha256= or #sha512= and its checksum',
  )

export const install_xen_tools = defineStage({
  name: 'install_xen_tools',
  summary: "installs vhd-util and XenServer's guest utilities, which no Debian suite has, if they are given",
  from: import.meta.url,
  settings: {
    /**
     * URL or path, with its checksum, of a `vhd-util` that runs on the image's architecture. Storage VMs on XenServer use
     * it to make templates of snapshots.
     * @default none
     */
    vhdUtil: file.optional(),
    /**
     * URL or path, with its checksum, of a .deb with `xe-daemon`, which tells XenServer that the machine is up, and its addresses.
     * @default none
     */
    guestUtilities: file.optional(),
  },
  when: ({ vhdUtil, guestUtilities }) => vhdUtil !== undefined || guestUtilities !== undefined,
  files: ({ vhdUtil, guestUtilities }) => ({
    ...(vhdUtil === undefined ? {} : { vhd_util: vhdUtil }),
    ...(guestUtilities === undefined ? {} : { guest_utilities: guestUtilities }),
  }),
  fileKinds: { vhd_util: 'file', guest_utilities: 'file' },
  leaves: ({ vhdUtil }) => (vhdUtil === undefined ? [] : ['/usr/bin/vhd-util']),
  timeoutSeconds: 120,
})
