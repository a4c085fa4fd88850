/** What is wrong with a source of files whose notation is fine. */
export class SourceFault extends Error {}
