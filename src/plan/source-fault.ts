/** Says what is wrong with a source of files, where everything that a person wrote about it is well-formed. */
export class SourceFault extends Error {}
