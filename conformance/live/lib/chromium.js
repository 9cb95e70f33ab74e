// Headless Chromium with a profile of its own that ends with the test.
//
// CHROMIUM  the browser to run (default /usr/bin/chromium)

import { chromium } from "playwright-core"

const options = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
}

/** A browser for the tests of one file. */
export class Browser {
  #running = null

  /** A tab with a session of its own; what its page reports as an error fails the test that asks for `errors`. */
  async tab(t, url, viewport = { width: 1000, height: 700 }) {
    this.#running ??= chromium.launch(options)
    const context = await (await this.#running).newContext({ viewport })
    t.after(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    const errors = []
    page.on("pageerror", (error) => errors.push(error.message))
    await page.goto(url)
    return { page, errors }
  }

  async close() {
    await (await this.#running)?.close()
  }
}
