/** Bytes in larger pieces, since each write to a file waits for a thread among those that compress. */

/**
 * The same bytes in pieces of `bytes`, but for the last. Each is only valid until the next is asked for, as a stream's
 * `pipeline` does when it has written one that is larger than its mark.
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
