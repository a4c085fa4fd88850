/** Handles events one at a time, in the order in which they happen. */

export interface Mailbox<Event> {
  /** An event waits its turn if it is sent while another is being handled, or before the mailbox is open. */
  readonly send: (event: Event) => void
  /**
   * Starts handling events, those already waiting first. The promise never resolves: if `handle` throws, it rejects with that
   * error, and handling stops.
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
