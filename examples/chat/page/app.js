// The stock client of Phoenix, loaded by /phoenix.js, as any Phoenix front end uses it.
const { Socket, Presence } = Phoenix

const element = (id) => document.getElementById(id)

/** How long after the last key somebody counts as typing. */
const TYPING_MS = 3000

const socket = new Socket("/socket")
let channel = null
let nick = ""

/* ---- the connection ---- */

socket.onOpen(() => showStatus(channel && channel.state !== "joined" ? "joining" : "online"))
socket.onClose(() => showStatus("reconnecting"))
socket.connect()

function showStatus(state) {
  const status = element("status")
  status.dataset.state = state
  status.textContent = state
}

/* ---- entering and leaving a room ---- */

element("nick").value = sessionStorage.getItem("nick") ?? ""
if (location.hash.length > 1) element("room-name").value = readHash()

element("enter").addEventListener("submit", (event) => {
  event.preventDefault()
  enter(element("room-name").value.trim() || "lobby", element("nick").value.trim())
})

element("leave").addEventListener("click", () => {
  channel.leave()
  channel = null
  history.replaceState(null, "", location.pathname)
  element("chat").hidden = true
  element("welcome").hidden = false
  element("nick").focus()
})

function enter(room, name) {
  channel?.leave()
  const entering = socket.channel(`room:${room}`, { nick: name })
  channel = entering
  nick = name
  element("refusal").textContent = ""

  const people = new Presence(entering)
  people.onSync(() => showPeople(people.list((name, { metas }) => ({ name, nodes: metas.map(({ node }) => node) }))))
  entering.on("new_msg", (message) => {
    stopTyping(message.nick)
    append([message])
  })
  entering.on("typing", ({ nick: who, typing }) => (typing ? startTyping(who) : stopTyping(who)))
  entering.onError(() => showStatus(socket.isConnected() ? "joining" : "reconnecting"))

  entering
    .join()
    // Called again after every rejoin: the history then holds what was missed.
    .receive("ok", ({ history: said, node }) => {
      open(room)
      element("node").textContent = node
      showStatus("online")
      replaceMessages(said)
    })
    .receive("error", ({ reason }) => refuse(entering, reason))
    .receive("timeout", () => showStatus("joining"))
}

function open(room) {
  const chat = element("chat")
  if (!chat.hidden) return
  sessionStorage.setItem("nick", nick)
  history.replaceState(null, "", `#${encodeURIComponent(room)}`)
  document.title = `#${room} · Chat`
  element("room").textContent = room
  element("online").hidden = true
  forgetTyping()
  element("welcome").hidden = true
  chat.hidden = false
  element("body").focus()
}

function refuse(refused, reason) {
  refused.leave()
  channel = null
  element("chat").hidden = true
  element("welcome").hidden = false
  element("refusal").textContent = `You cannot enter: ${reason}.`
  element("nick").focus()
}

function readHash() {
  try {
    return decodeURIComponent(location.hash.slice(1))
  } catch {
    return "lobby"
  }
}

/* ---- saying something ---- */

element("say").addEventListener("submit", (event) => {
  event.preventDefault()
  const field = element("body")
  const body = field.value
  channel
    .push("new_msg", { body })
    .receive("ok", () => {
      if (field.value === body) field.value = ""
      field.removeAttribute("aria-invalid")
    })
    .receive("error", () => field.setAttribute("aria-invalid", "true"))
  announceTyping(false)
})

element("body").addEventListener("input", ({ target }) => {
  target.removeAttribute("aria-invalid")
  announceTyping(target.value !== "")
})

let announced = false
let quiet = null

function announceTyping(typing) {
  clearTimeout(quiet)
  if (typing) quiet = setTimeout(() => announceTyping(false), TYPING_MS)
  if (typing === announced) return
  announced = typing
  if (channel?.state === "joined") channel.push("typing", { typing })
}

/* ---- what was said ---- */

function replaceMessages(said) {
  element("messages").replaceChildren(...said.map(messageItem))
  element("empty").hidden = said.length > 0
  groupByNick()
  scrollToEnd()
}

function append(messages) {
  const list = element("messages")
  const following = list.scrollHeight - list.scrollTop - list.clientHeight < 60
  list.append(...messages.map(messageItem))
  element("empty").hidden = true
  groupByNick()
  const own = messages.some((message) => message.nick === nick)
  if (following || own) scrollToEnd()
  else element("newer").hidden = false
}

/** Everything from the network goes in as text, never as markup. */
function messageItem({ nick: who, body, at }) {
  const item = document.createElement("li")
  item.dataset.nick = who
  item.classList.toggle("own", who === nick)
  item.style.setProperty("--hue", hue(who))

  const author = document.createElement("span")
  author.className = "nick"
  author.textContent = who
  const time = document.createElement("time")
  const date = new Date(at)
  if (!Number.isNaN(date.valueOf())) {
    time.dateTime = date.toISOString()
    time.title = date.toLocaleString()
    time.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
  }
  const text = document.createElement("p")
  text.className = "body"
  text.textContent = body
  item.append(author, time, text)
  return item
}

/** The name stands only above the first of several messages of one person. */
function groupByNick() {
  let previous = null
  for (const item of element("messages").children) {
    item.classList.toggle("same", item.dataset.nick === previous)
    previous = item.dataset.nick
  }
}

function scrollToEnd() {
  const list = element("messages")
  list.scrollTop = list.scrollHeight
  element("newer").hidden = true
}

element("newer").addEventListener("click", scrollToEnd)
element("messages").addEventListener("scroll", ({ target }) => {
  if (target.scrollHeight - target.scrollTop - target.clientHeight < 10) element("newer").hidden = true
})

function hue(name) {
  let sum = 0
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 360
  return sum
}

/* ---- who is typing, who is here ---- */

const typists = new Map()

function startTyping(who) {
  clearTimeout(typists.get(who))
  typists.set(who, setTimeout(() => stopTyping(who), 2 * TYPING_MS))
  showTyping()
}

function stopTyping(who) {
  clearTimeout(typists.get(who))
  typists.delete(who)
  showTyping()
}

function forgetTyping() {
  for (const who of [...typists.keys()]) stopTyping(who)
}

function showTyping() {
  const names = [...typists.keys()]
  const several = names.length > 3 ? "Several people are typing…" : `${names.join(" and ")} are typing…`
  element("typing").textContent = names.length === 0 ? "" : names.length === 1 ? `${names[0]} is typing…` : several
}

/** Everybody once, with the number of windows they have open here, and where they are, if there are several. */
function showPeople(people) {
  element("online").hidden = false
  element("online-count").textContent = people.length
  const several = new Set(people.flatMap(({ nodes }) => nodes)).size > 1
  element("online-list").replaceChildren(
    ...people.sort((a, b) => a.name.localeCompare(b.name)).map(({ name, nodes }) => {
      const item = document.createElement("li")
      item.textContent = name
      item.title = name
      if (several) item.dataset.nodes = [...new Set(nodes)].join(", ")
      item.classList.toggle("own", name === nick)
      if (nodes.length > 1) item.dataset.tabs = nodes.length
      item.style.setProperty("--hue", hue(name))
      return item
    }),
  )
}
