/** Gathers bytes into larger pieces, since each file write waits for a thread that compression also uses. */

/**
 * Yields the same bytes in pieces of size `bytes`, except the last. Each is valid only until the next is requested, which a
 * stream's `pipeline` does once it has written a piece larger than its high-water mark.
 */
export async function* gather(pieces: AsyncIterable<Buffer>, bytes = 1 << 20): AsyncGenerator<Buffer> {
  const gathered = Buffer.allocUnsafeSlow(bytes)
  let end = 0
  for await (const piece of pieces) {
    for (let taken = 0; taken < piece.length; ) {
      const copied = piece.copy(gathered, end, taken)
      taken += copied
      end += copied
      if (end < bytes) continue
      yield gathered
      end = 0
    }
  }
  if (end > 0) yield gathered.subarray(0, end)
}
