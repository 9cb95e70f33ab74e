// How phoenix.js arrives at long-polling by itself, and what only a long-poll session can show.

import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import http from "node:http"
import net from "node:net"
import test from "node:test"

import { LongPoll, Socket } from "phoenix"
import WebSocket from "ws"
import xhr2 from "xhr2"

import { address, base, cast, ctl, inbox, next, ok } from "../lib/app.js"

const xhr = () => (globalThis.XMLHttpRequest = xhr2)
const fetch = () => delete globalThis.XMLHttpRequest

for (const [name, install] of Object.entries({ xhr, fetch })) {
  const polling = (title, body) =>
    test(`${name}: ${title}`, { timeout: 30_000 }, (t) => {
      install()
      return body(t)
    })

  polling("a socket without WebSocket falls back and joins", async (t) => {
    const store = new Map()
    const socket = connect(t, address("/lponly"), {
      transport: WebSocket,
      longPollFallbackMs: 5_000,
      sessionStorage: { getItem: (key) => store.get(key) ?? null, setItem: (key, value) => store.set(key, value) },
    })
    const channel = socket.channel(topic())
    await ok(channel.join())
    assert.equal((await ok(channel.push("whoami"))).transport, "longpoll")
    assert.deepEqual([...store], [["phx:fallback:LongPoll", "true"]])
  })

  polling("a WebSocket that never answers is given up", async (t) => {
    const silent = http.createServer().on("upgrade", (_request, socket) => t.after(() => socket.destroy()))
    await new Promise((done) => silent.listen(0, "127.0.0.1", done))
    t.after(() => silent.close())
    class Silent extends WebSocket {
      constructor(_url, protocols) {
        super(`ws://127.0.0.1:${silent.address().port}`, protocols)
      }
    }

    const channel = connect(t, address("/socket"), { transport: Silent, longPollFallbackMs: 100 }).channel(topic())
    await ok(channel.join())
    assert.equal((await ok(channel.push("whoami"))).transport, "longpoll")
  })

  polling("a WebSocket that works is kept", async (t) => {
    const channel = connect(t, address("/socket"), { transport: WebSocket, longPollFallbackMs: 10_000 }).channel(topic())
    await ok(channel.join())
    assert.equal((await ok(channel.push("whoami"))).transport, "websocket")
  })

  polling("a batch of more than a hundred pushes keeps its order", async (t) => {
    const channel = connect(t, address("/socket"), { transport: LongPoll }).channel(topic())
    await ok(channel.join())
    const order = []
    await Promise.all(
      Array.from({ length: 350 }, (_, i) => ok(channel.push("echo", { i })).then((reply) => order.push(reply.i))),
    )
    assert.deepEqual(order, Array.from({ length: 350 }, (_, i) => i))
  })

  polling("long-poll and WebSocket clients share a topic", async (t) => {
    const name = topic()
    const channels = [LongPoll, WebSocket].map((transport) =>
      connect(t, address("/socket"), { transport }).channel(name),
    )
    await Promise.all(channels.map((channel) => ok(channel.join())))
    const inboxes = channels.map((channel) => inbox(channel, "shout"))
    for (const [n, channel] of channels.entries()) {
      cast(channel, "shout", { n })
      for (const each of inboxes) assert.deepEqual((await each.next()).payload, { n })
    }
  })

  polling("an empty poll window is not the end", async (t) => {
    const channel = connect(t, address("/short"), { transport: LongPoll }).channel(topic())
    const closes = []
    channel.socket.onClose((event) => closes.push(event))
    await ok(channel.join())
    await emptyPoll(t, address("/short").replace(/^ws/, "http"))

    const news = inbox(channel, "news")
    await ctl("broadcast", { topic: channel.topic, event: "news", payload: { n: 1 } })
    assert.deepEqual((await news.next()).payload, { n: 1 })
    assert.deepEqual(closes, [])
  })
}

test("a poll whose connection breaks loses no message", { timeout: 30_000 }, async () => {
  const url = new URL(`${base}/socket/longpoll?vsn=2.0.0`)
  const ask = async (body) =>
    (
      await globalThis.fetch(url, body && { method: "POST", headers: { "content-type": "application/x-ndjson" }, body })
    ).json()
  url.searchParams.set("token", (await ask()).token)
  const name = topic()
  assert.equal((await ask(JSON.stringify(["1", "1", name, "phx_join", {}]))).status, 200)
  assert.equal((await ask()).status, 200)

  const poll = net.connect(url.port, url.hostname)
  await new Promise((done) => poll.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`, done))
  // Requests that come after it, so that the poll waits, and then that its end is noticed.
  const pass = async () => {
    for (let n = 0; n < 20; n += 1) assert.equal((await ask(JSON.stringify(["1", null, name, "noreply", {}]))).status, 200)
  }
  await pass()
  poll.destroy()
  await pass()
  await ctl("broadcast", { topic: name, event: "news", payload: { n: 1 } })
  const news = (await ask()).messages.map((text) => JSON.parse(text)).filter(([, , , event]) => event === "news")
  assert.deepEqual(news, [[null, null, name, "news", { n: 1 }]])
})

/** Waits until a window of the server has passed, as a second client whose poll brings nothing. */
async function emptyPoll(t, url) {
  const poll = async (query) => (await globalThis.fetch(`${url}/longpoll?vsn=2.0.0${query}`)).json()
  const { status, token } = await poll("")
  assert.equal(status, 410)
  assert.equal((await poll(`&token=${encodeURIComponent(token)}`)).status, 204)
}

function connect(t, url, options) {
  assert.ok(base)
  const socket = new Socket(url, { reconnectAfterMs: () => 20, rejoinAfterMs: () => 20, ...options })
  t.after(() => next((done) => socket.disconnect(done)))
  socket.connect()
  return socket
}

function topic() {
  return `echo:${randomUUID().slice(0, 8)}`
}
