// What every theme needs: a server to talk to, stock clients, and ways to wait for what they report.
//
// PHOENIX_URL        the reference application, for example http://127.0.0.1:4000
// PHOENIX_TRANSPORT  websocket (default), longpoll-xhr or longpoll-fetch

import { randomUUID } from "node:crypto"
import test from "node:test"

import { LongPoll, Socket } from "phoenix"
import WebSocket from "ws"
import xhr2 from "xhr2"

import { v1 } from "./v1.js"

export const base = process.env.PHOENIX_URL
if (!base) throw new Error("PHOENIX_URL is not set: start the reference application and give its address")

/** How long one test may take in all; nothing waits for a fixed time. */
const TEST_TIMEOUT = 30_000

const transports = {
  websocket: () => [
    { name: "websocket V2", vsn: "2.0.0", longPoll: false, options: { transport: WebSocket } },
    { name: "websocket V1", vsn: "1.0.0", longPoll: false, options: { transport: WebSocket, ...v1 } },
  ],
  "longpoll-xhr": () => {
    globalThis.XMLHttpRequest = xhr2
    return [{ name: "long-poll XHR", vsn: "2.0.0", longPoll: true, options: { transport: LongPoll } }]
  },
  "longpoll-fetch": () => {
    delete globalThis.XMLHttpRequest
    return [{ name: "long-poll fetch", vsn: "2.0.0", longPoll: true, options: { transport: LongPoll } }]
  },
}

const chosen = process.env.PHOENIX_TRANSPORT ?? "websocket"
if (!(chosen in transports)) throw new Error(`PHOENIX_TRANSPORT is ${chosen}, not one of ${Object.keys(transports)}`)

/** The transports and protocol versions of this run. */
export const wires = transports[chosen]()

/** One test for every wire of this run; `only` leaves out wires that cannot do it. */
export function scenario(name, body, { only = () => true } = {}) {
  for (const wire of wires.filter(only)) {
    test(`${wire.name}: ${name}`, { timeout: TEST_TIMEOUT }, (t) => body(new App(t, wire)))
  }
}

/** Binary payloads are a part of protocol version 2 only. */
export const binaryUpward = { only: (wire) => wire.vsn === "2.0.0" }

/** Long-polling delivers JSON to phoenix.js, no binaries. */
export const binaryBothWays = { only: (wire) => wire.vsn === "2.0.0" && !wire.longPoll }

/** The reference application as one test sees it: topics of its own, clients that end with it. */
export class App {
  constructor(t, wire) {
    this.t = t
    this.wire = wire
    this.run = randomUUID().slice(0, 8)
  }

  /** A topic no other test uses. */
  topic(kind) {
    return `${kind}:${this.run}`
  }

  /** A connected client that retries fast, so that a recovery is not worth waiting for. */
  connect({ mount = "/socket", socketClass = Socket, ...options } = {}) {
    const socket = new socketClass(address(mount), {
      vsn: this.wire.vsn,
      reconnectAfterMs: () => 20,
      rejoinAfterMs: () => 20,
      ...this.wire.options,
      ...options,
    })
    this.t.after(() => goodbye(socket))
    socket.connect()
    return socket
  }

  /** A joined channel on a connection of its own. */
  async join(topic, params = {}, options = {}) {
    const channel = this.connect(options).channel(topic, params)
    await ok(channel.join())
    return channel
  }
}

/** The URL phoenix.js is given for a socket mount. */
export function address(mount) {
  return base.replace(/^http/, "ws") + mount
}

/** Asks the server to act. */
export async function ctl(path, body) {
  const answer = await fetch(`${base}/ctl/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`POST /ctl/${path} answered ${answer.status}`)
  return answer.json()
}

/** Disconnects a client of any age and ends the timers it would leave behind. */
async function goodbye(socket) {
  await next((done) => socket.disconnect(done))
  socket.reconnectTimer.reset()
  clearInterval(socket.heartbeatTimer)
  for (const channel of socket.channels) {
    channel.rejoinTimer.reset()
    channel.joinPush.cancelTimeout()
  }
}

/** A push nobody waits for: without the timer that would wait for its reply. */
export function cast(channel, event, payload) {
  channel.push(event, payload).cancelTimeout()
}

/** The outcome of a push or a join: the first of ok, error and timeout (and further statuses asked for). */
export function outcome(push, ...statuses) {
  return new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout", ...statuses]) {
      push.receive(status, (response) => resolve({ status, response }))
    }
  })
}

/** The response of a push or a join that has to succeed. */
export async function ok(push) {
  const { status, response } = await outcome(push)
  if (status !== "ok") throw new Error(`expected ok, got ${status}: ${JSON.stringify(response)}`)
  return response
}

/** The next call of a callback that is registered with `register`. */
export function next(register) {
  return new Promise((resolve) => register(resolve))
}

/** Everything of the named events that reaches a channel, in order. */
export function inbox(channel, ...events) {
  const arrived = []
  const waiting = []
  for (const event of events) {
    channel.on(event, (payload) => {
      const message = { event, payload }
      if (waiting.length > 0) waiting.shift()(message)
      else arrived.push(message)
    })
  }
  return {
    /** The oldest message not taken yet, waiting for it if need be. */
    next: () => (arrived.length > 0 ? Promise.resolve(arrived.shift()) : new Promise((r) => waiting.push(r))),
    /** The next `n` messages. */
    async take(n) {
      const messages = []
      while (messages.length < n) messages.push(await this.next())
      return messages
    },
    /** What has arrived and was not taken. */
    rest: () => arrived.splice(0),
  }
}

/** A binary payload as phoenix.js wants it. */
export function bytes(...values) {
  return Uint8Array.from(values).buffer
}

/** The bytes of a binary payload as phoenix.js delivers it. */
export function values(buffer) {
  return [...new Uint8Array(buffer)]
}
