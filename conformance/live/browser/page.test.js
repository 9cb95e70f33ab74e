// Sockets in a real browser: the page of the reference application with the stock client, same origin.

import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import test, { after } from "node:test"

import { base, ctl } from "../lib/app.js"
import { Browser } from "../lib/chromium.js"

const browser = new Browser()
after(() => browser.close())

/** One test in a tab that has the helpers of `install` as `window.app`. */
function browsing(name, body) {
  test(`chromium: ${name}`, { timeout: 60_000 }, async (t) => {
    const { page, errors } = await browser.tab(t, `${base}/ctl/page`)
    await page.evaluate(install)
    await body(page, `echo:${randomUUID().slice(0, 8)}`)
    assert.deepEqual(errors, [])
  })
}

/** Runs in the page. */
function install() {
  const settled = (push) =>
    new Promise((resolve) => {
      for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve({ status, response }))
    })
  window.app = {
    settled,
    next: (register) => new Promise((resolve) => register(resolve)),
    connect(mount, options = {}) {
      const socket = new Phoenix.Socket(mount, { reconnectAfterMs: () => 20, rejoinAfterMs: () => 20, ...options })
      socket.connect()
      return socket
    },
    async join(topic, options, mount = "/socket") {
      const channel = this.connect(mount, options).channel(topic)
      const joined = await settled(channel.join())
      if (joined.status !== "ok") throw new Error(`join of ${topic}: ${JSON.stringify(joined)}`)
      return channel
    },
  }
}

browsing("join, push and reply", async (page, topic) => {
  const replies = await page.evaluate(async (topic) => {
    const channel = await app.join(topic)
    return [
      await app.settled(channel.push("echo", { n: 1 })),
      await app.settled(channel.push("echo_error", { n: 2 })),
      await app.settled(channel.push("noreply", {}, 100)),
    ]
  }, topic)
  assert.deepEqual(replies, [
    { status: "ok", response: { n: 1 } },
    { status: "error", response: { n: 2 } },
    { status: "timeout", response: {} },
  ])
})

browsing("a binary push and its reply", async (page, topic) => {
  const reply = await page.evaluate(async (topic) => {
    const channel = await app.join(topic)
    const { response } = await app.settled(channel.push("binary", Uint8Array.from([0, 1, 254, 255]).buffer))
    return [...new Uint8Array(response)]
  }, topic)
  assert.deepEqual(reply, [0, 1, 254, 255])
})

browsing("a broadcast from the server", async (page, topic) => {
  await page.evaluate(async (topic) => {
    const channel = await app.join(topic)
    window.news = app.next((done) => channel.on("news", done))
  }, topic)
  await ctl("broadcast", { topic, event: "news", payload: { n: 1 } })
  assert.deepEqual(await page.evaluate(() => window.news), { n: 1 })
})

browsing("a crash and the rejoin after it", async (page, topic) => {
  const outcome = await page.evaluate(async (topic) => {
    const channel = await app.join(topic)
    const failed = app.next((done) => channel.onError(done))
    channel.push("crash")
    const error = await failed
    await app.next((done) => channel.joinPush.receive("ok", done))
    return { error, reply: (await app.settled(channel.push("echo", { n: 1 }))).response }
  }, topic)
  assert.deepEqual(outcome, { error: { reason: "channel_crash" }, reply: { n: 1 } })
})

browsing("a forced disconnect, and back by itself", async (page, topic) => {
  const user = topic.slice("echo:".length)
  await page.evaluate(async ({ topic, user }) => {
    const channel = await app.join(topic, { params: { user_id: user } })
    window.recovered = app
      .next((done) => channel.socket.onClose(done))
      .then(async ({ code }) => {
        await app.next((done) => channel.joinPush.receive("ok", done))
        return { code, reply: (await app.settled(channel.push("echo", { n: 1 }))).response }
      })
  }, { topic, user })
  await ctl("disconnect", { id: `users:${user}` })
  assert.deepEqual(await page.evaluate(() => window.recovered), { code: 1001, reply: { n: 1 } })
})

browsing("the auth token, which makes the browser insist on the subprotocol", async (page, topic) => {
  const token = await page.evaluate(async (topic) => {
    const channel = await app.join(topic, { authToken: "good token" }, "/authtoken")
    return (await app.settled(channel.push("connect_info"))).response.info.auth_token
  }, topic)
  assert.equal(token, "good token")
})

browsing("two tabs on one topic", async (page, topic) => {
  const other = await page.context().newPage()
  await other.goto(`${base}/ctl/page`)
  await other.evaluate(install)
  for (const tab of [page, other]) {
    await tab.evaluate(async (topic) => {
      window.channel = await app.join(topic)
      window.shout = app.next((done) => window.channel.on("shout", done))
    }, topic)
  }
  await page.evaluate(() => void window.channel.push("shout", { n: 1 }))
  for (const tab of [page, other]) assert.deepEqual(await tab.evaluate(() => window.shout), { n: 1 })
})
