"""NETCONF without input or output: RFC 6241, 6242 (framing), 5277 (notifications), 6022 (schemas), 8525 (YANG library).

**A server's edge** (SSH, TLS or a test) owns one `server.Server` and does this:

* A peer has been authenticated and its transport is open: `number, actions = server.open(user, role, transport, host, now)`.
  The user's name and role come from its key or certificate, never from what it says.
* Bytes have come: `actions = server.feed(number, data, now)`. While `server.readable(number)` is false, leave what comes in the
  transport (do not read on); ask again after every call of the server.
* `server.busy`: let everything else in the process have its turn, then `actions = server.work(now)`, which reads one message at
  most. Ask again after every call.
* Bytes of a `Send` have left the transport's buffer (after `drain()`): `actions = server.sent(number, count, now)`. A peer that
  does not read gets no more work done and no notifications until then; one that falls behind the log of events is closed.
* The peer is gone: `actions = server.lost(number, now)`. Not needed after a `Close`.
* It is `server.deadline` (seconds of the steady clock, or None): `actions = server.tick(now)`. Ask after every call.
* Something happened at the node: `actions = server.publish(event, now)` with an lxml element of a YANG notification.

`now` is an `actions.Moment`. Each call returns a list of actions for any of the sessions, to be done in this order:

* `Send(session, data)`: write them. `Close(session, reason)`: flush, close; the reason is for the log.
* `Apply(change)`: hand the `change.PendingChange` to the node: make it durable, apply it, and call
  `actions = server.applied(change.number, error, now)`, with None or the `RpcError` (any `QuiverError` becomes one) that says
  why not. Only then the `<ok/>` is sent. At most one change is out at a time; reads are answered meanwhile, other edits wait.

**A client's edge** owns a `client.ClientSession`: `client.hello()` gives the first bytes, `feed(data)` gives what has come
(hello, replies, notifications), `call(operation)` gives a message-id and the bytes of an rpc.

In the order of a message's way: `framing` (bytes of one message), `xml` (its tree), `server` (sessions), `operations` (the table
of rpcs), `schema` and `values` (YANG), `tree` (configuration), `edit` (edit-config), `validate`, `datastores` (running,
candidate, locks, confirmed commit), `filter` and `selection`, `access`, `notifications`, `monitoring`; `errors` on the way back.
"""
