// Long-polling in a real browser: same origin, cross origin, and what phoenix.js does where WebSockets do not get through.

import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import http from "node:http"
import test, { after } from "node:test"

import { base, ctl } from "../lib/app.js"
import { Browser } from "../lib/chromium.js"

const browser = new Browser()
after(() => browser.close())

/** The same server by another name: another origin to the browser. */
const elsewhere = base.replace("127.0.0.1", "localhost")

/** One test in a tab that has the helpers of `install` as `window.app`. */
function browsing(name, body, { origin = base } = {}) {
  test(`chromium: ${name}`, { timeout: 60_000 }, async (t) => {
    const { page, errors } = await browser.tab(t, `${origin}/ctl/page`)
    await page.evaluate(install)
    await body(page, `echo:${randomUUID().slice(0, 8)}`, t)
    assert.deepEqual(errors, [])
  })
}

/** Runs in the page. */
function install() {
  window.app = {
    settled: (push) =>
      new Promise((resolve) => {
        for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve({ status, response }))
      }),
    next: (register) => new Promise((resolve) => register(resolve)),
    /** A joined channel on a connection of its own. */
    async join(url, topic, options) {
      const socket = new Phoenix.Socket(url, { reconnectAfterMs: () => 20, rejoinAfterMs: () => 20, ...options })
      socket.connect()
      const channel = socket.channel(topic)
      const joined = await this.settled(channel.join())
      if (joined.status !== "ok") throw new Error(`join of ${topic}: ${JSON.stringify(joined)}`)
      return channel
    },
    async transport(channel) {
      return (await this.settled(channel.push("whoami"))).response.transport
    },
  }
}

const address = base.replace("http", "ws")

for (const [name, origin] of Object.entries({ "same origin": base, "cross origin": elsewhere })) {
  browsing(
    `${name}: join, push, reply and broadcast`,
    async (page, topic) => {
      const reply = await page.evaluate(
        async ({ url, topic }) => {
          const channel = await app.join(url, topic, { transport: Phoenix.LongPoll })
          window.news = app.next((done) => channel.on("news", done))
          return [await app.transport(channel), await app.settled(channel.push("echo", { n: 1 }))]
        },
        { url: `${address}/socket`, topic },
      )
      assert.deepEqual(reply, ["longpoll", { status: "ok", response: { n: 1 } }])
      await ctl("broadcast", { topic, event: "news", payload: { n: 2 } })
      assert.deepEqual(await page.evaluate(() => window.news), { n: 2 })
    },
    { origin },
  )

  browsing(
    `${name}: the auth token in its header`,
    async (page, topic) => {
      const token = await page.evaluate(
        async ({ url, topic }) => {
          const channel = await app.join(url, topic, { transport: Phoenix.LongPoll, authToken: "good token" })
          return (await app.settled(channel.push("connect_info"))).response.info.auth_token
        },
        { url: `${address}/authtoken`, topic },
      )
      assert.equal(token, "good token")
    },
    { origin },
  )

  browsing(
    `${name}: a forced disconnect, and back by itself`,
    async (page, topic) => {
      const user = topic.slice("echo:".length)
      await page.evaluate(
        async ({ url, topic, user }) => {
          const options = { transport: Phoenix.LongPoll, params: { user_id: user } }
          const channel = await app.join(url, topic, options)
          window.recovered = app
            .next((done) => channel.socket.onClose(done))
            .then(async ({ code }) => {
              await app.next((done) => channel.joinPush.receive("ok", done))
              return { code, reply: (await app.settled(channel.push("echo", { n: 1 }))).response }
            })
        },
        { url: `${address}/short`, topic, user },
      )
      await ctl("disconnect", { id: `users:${user}` })
      assert.deepEqual(await page.evaluate(() => window.recovered), { code: 3410, reply: { n: 1 } })
    },
    { origin },
  )
}

browsing("a WebSocket that is refused, and what the tab remembers of it", async (page, topic) => {
  const falling = ({ url, topic }) =>
    app.join(url, topic, { longPollFallbackMs: 20_000 }).then((channel) => app.transport(channel))
  assert.equal(await page.evaluate(falling, { url: `${address}/lponly`, topic }), "longpoll")
  assert.equal(await page.evaluate(() => sessionStorage.getItem("phx:fallback:LongPoll")), "true")
  // Also where a WebSocket would get through, and after the page is loaded again.
  await page.reload()
  await page.evaluate(install)
  assert.equal(await page.evaluate(falling, { url: `${address}/socket`, topic }), "longpoll")
})

browsing("a WebSocket that never answers", async (page, topic, t) => {
  const silent = http.createServer().on("upgrade", (_request, socket) => t.after(() => socket.destroy()))
  await new Promise((done) => silent.listen(0, "127.0.0.1", done))
  t.after(() => silent.close())
  const transport = await page.evaluate(
    async ({ url, topic, port }) => {
      class Silent extends WebSocket {
        constructor() {
          super(`ws://127.0.0.1:${port}`)
        }
      }
      const channel = await app.join(url, topic, { transport: Silent, longPollFallbackMs: 100 })
      return app.transport(channel)
    },
    { url: `${address}/socket`, topic, port: silent.address().port },
  )
  assert.equal(transport, "longpoll")
})

browsing("a WebSocket that works is kept", async (page, topic) => {
  const transport = await page.evaluate(
    async ({ url, topic }) => app.transport(await app.join(url, topic, { longPollFallbackMs: 20_000 })),
    { url: `${address}/socket`, topic },
  )
  assert.equal(transport, "websocket")
})
