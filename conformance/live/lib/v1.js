// Protocol version 1 for the stock client, through its `encode` and `decode` options: one JSON object a message.

export const v1 = {
  encode({ topic, event, payload, ref }, send) {
    send(JSON.stringify({ topic, event, payload, ref }))
  },
  decode(raw, receive) {
    receive(JSON.parse(raw))
  },
}
