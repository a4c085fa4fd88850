/** Streams with a size limit. */

/** Passes a stream on, up to a maximum number of bytes. @throws the given error if there are more */
export async function* boundBytes<Chunk extends Uint8Array>(
  chunks: AsyncIterable<Chunk>,
  most: number,
  tooMany: () => Error,
): AsyncGenerator<Chunk> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > most) throw tooMany()
    yield chunk
  }
}
