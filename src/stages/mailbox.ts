/** Events in the order in which they happen, handled one at a time. */

export interface Mailbox<Event> {
  /** An event that comes while another one is handled, or before the mailbox is open, waits for its turn. */
  readonly send: (event: Event) => void
  /**
   * Has events handled from now on, first those that wait. The promise never resolves: it rejects with what `handle`
   * throws, after which nothing is handled any more.
   */
  readonly open: (handle: (event: Event) => void) => Promise<never>
}

export function createMailbox<Event>(): Mailbox<Event> {
  const waiting: Event[] = []
  let deliver = (): void => undefined
  return {
    send: (event) => {
      waiting.push(event)
      deliver()
    },
    open: (handle) =>
      new Promise((_resolve, reject) => {
        let isBusy = false
        deliver = () => {
          if (isBusy) return
          isBusy = true
          try {
            for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) handle(event)
            isBusy = false
          } catch (bug) {
            reject(bug)
          }
        }
        deliver()
      }),
  }
}
