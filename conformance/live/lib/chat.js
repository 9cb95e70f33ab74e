// The chat example as a process that tests may end and start again.
//
// CHAT_BIN      its program
// CHAT_ADAPTER  warp (default), actix or axum

import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

const program = process.env.CHAT_BIN
if (!program) throw new Error("CHAT_BIN is not set: give the path of the chat program")
const adapter = process.env.CHAT_ADAPTER ?? "warp"

export class Chat {
  #child = null
  port = 0

  /** Starts the server, on the port it had before if it ran already. */
  async start() {
    this.#child = spawn(program, ["--adapter", adapter, "--port", String(this.port)], {
      stdio: ["ignore", "pipe", "inherit"],
    })
    const lines = createInterface({ input: this.#child.stdout })
    const listening = (async () => {
      for await (const line of lines) {
        const match = /^listening on 127\.0\.0\.1:(\d+)$/.exec(line)
        if (match) return Number(match[1])
      }
      throw new Error("the chat server ended before it listened")
    })()
    this.port = await listening
    this.#child.stdout.resume()
    return this
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** Ends the server and waits until it is gone. */
  async stop(signal) {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, "exit")
    child.kill(signal)
    await gone
  }
}
