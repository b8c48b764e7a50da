//! frontdesk: a customer-support chat backend.
//!
//! Every customer has one support chat, every admin can see and enter all chats, and each chat is a
//! log that is numbered 1, 2, 3 … in the order of commits. This page is the map; `ARCHITECTURE.md`
//! is the long form, with walkthroughs and the reasons.
//!
//! # Layers
//! A module uses only modules that stand before it in this list (a test in `tests/tidy` reads the
//! sources and says which):
//! - [`domain`] decides: plain data and functions, without an actor, a database or I/O; time is an
//!   argument. [`retry`] has growing pauses and a log that does not repeat itself;
//!   [`tls`] verifies other servers, and has the certificate of this one.
//! - [`settings`] are typed, closed (an unknown key is an error) and layered (defaults, file,
//!   environment); [`metrics`] are counters and gauges.
//! - [`protocol`] knows the wire's JSON, [`db`] stores (and alone knows diesel), [`auth`] verifies
//!   tokens (and alone knows `jsonwebtoken`).
//! - [`session`] is the state machine of a session, pure: [`Input`](session::Input)s in,
//!   [`Action`](session::Action)s out. A command of clients is a file in `session/commands`.
//! - [`actors`] move: each owns its state, and typed messages join them.
//!   [`ChatServer`](actors::ChatServer) owns room membership and user → sessions, and starts and
//!   retires rooms; a [`SessionHandle`](actors::SessionHandle) is the one way to send to a session.
//! - [`app`] has the use cases, a file each: every access is checked there, whoever asks (a session by
//!   an [`Ask`](session::Ask), a handler of HTTP, a service).
//! - [`transport`] hosts sessions on WebSockets, and for Socket.IO clients, who poll or come by a
//!   WebSocket, one in each namespace of an [`SocketIoConnection`](transport::socketio::SocketIoConnection).
//! - [`outbox`] delivers events to sinks: a [`Sink`](outbox::Sink) takes a batch and says what became of
//!   each event; its [`Relay`](outbox::Relay) keeps the order of each chat and user, retries, and waits
//!   for no other sink. [`amqp`] keeps the connections to RabbitMQ.
//! - [`cluster`] publishes messages to other nodes over a [`Backplane`](cluster::Backplane); its drivers
//!   are in memory, PostgreSQL and Redis.
//! - [`web`] reads the pages' files, joins and names them once, at the start.
//! - [`bus`] (other services, over RabbitMQ: a sink, commands of services, clients' events) and [`http`]
//!   parse requests for the use cases and render their answers.
//! - [`application`] builds all of it, and sees all of it.
//!
//! # Invariants
//! 1. An acked message is in the log exactly once, whatever is killed, and when.
//! 2. A chat's log is `seq` 1, 2, 3 … in commit order. A session sees a contiguous run of it from where
//!    it entered, own acks counted.
//! 3. The same `clientId` again is the same `id` and `seq`, and one row.
//! 4. One customer has one support chat, under any race, on any number of nodes.
//! 5. The database is the truth. Messages between nodes, and from rooms to sessions, are hints: losing
//!    one costs time, never a chat message. Events for other services are written in the transaction of
//!    what they tell, where any sink is configured, and wait in the outbox until every configured sink
//!    has them.
//! 6. Every queue is bounded, and "full" has an answer that somebody is told.
//! 7. No client, slow, dead, flooding or malicious, delays another, fails another's batch, or holds
//!    memory for longer than a bounded time.
//! 8. Nothing reaches a user who may not see it: [`domain::access`] alone decides.
//!
//! # A message's way
//! 1. A text frame reaches its [`WsSession`](transport::ws::WsSession), which hands it to its
//!    [`Session`](session::Session). The table of commands parses it; every field is valid from here on.
//! 2. The session opens a request under a number, and asks for a call to the chat's
//!    [`RoomActor`](actors::RoomActor): a `Post`. A full mailbox is `unavailable`. Access was checked when
//!    the session joined the room; for any other chat it first asks the use case `app::chat_access`, and
//!    the call goes by way of ChatServer, which finds or starts the room. A post over HTTP or by a service
//!    takes the same way from [`app::post_message()`].
//! 3. The room submits the draft as a [`db::WriteOp`] to the chat's
//!    [`DbExecutor`](actors::DbExecutor), always the same one.
//! 4. The [`db::Write`]s that came while the last transaction ran, from all rooms, are one batch. The
//!    [`db::Writer`] locks the chats, finds duplicates, numbers the rest, inserts and commits.
//! 5. Only then the rooms are answered. [`domain::Room`] says what is next in `seq` order, and what
//!    must be read from the log before it.
//! 6. The room delivers each message to every session in it, as a [`protocol::Posted`] that all share.
//! 7. Each session sends what follows its own position ([`domain::Streams`]): `receive_message` to
//!    everybody, the ack to the session that sent it, at the message's place in the stream. The room
//!    has encoded the message, once for all that speak the same [`protocol::Codec`].
//! 8. Other nodes get the message itself, gathered with others, and poll the database for what did not
//!    reach them ([`cluster`]). Other services get events from the [`outbox`], which the transaction wrote.
//!
//! A session is sent a [`protocol::ServerEvent`] of one of four classes: *logged* (a message with a
//! position: a session that cannot take it is closed, and resumes), *ephemeral* (a state such as typing,
//! of which the newest by its key counts, and which may be dropped), *answer*, and *control*.
//!
//! # Glossary
//! - **Ack**: the positive answer to a request that has an `id`; the other answer is an `exception`.
//! - **Attach**: a room takes a session in; from then on the session is *in* the room.
//! - **Backplane**: messages from node to node; they may be lost.
//! - **Budget**: events and bytes that may wait for one session. Its senders take **permits** of it,
//!   which are given back when the bytes are written; a session without budget is closed, and resumes.
//! - **Call**: a request to a room, which is answered once.
//! - **Chat**: the durable conversation; its **log** holds messages by `seq`.
//! - **Codec**: one wire format of frames: `frontdesk.v1.json`, and that of Socket.IO's packets.
//! - **Command**: a client's event that the server acts on.
//! - **Customer**, **admin**: the roles of users; an admin is a support agent.
//! - **Draft**: a message on its way into the log.
//! - **Ending**: the reason for which a session ends, with its close code.
//! - **Executor**: an actor with one database connection that writes.
//! - **Forward**: a client's event on its **route** to another service.
//! - **Gateway**: the actor that publishes forwards, and brings their answers back.
//! - **Hint**: the news that a log has grown; it may be lost.
//! - **Join**: a session asks to be in rooms.
//! - **Login**: a sign-in to a built-in account, with a chain of refresh tokens; `sid` in its tokens.
//! - **Journal**: the table of changes of users and chats that nodes poll.
//! - **Member**: a user who belongs to a chat, durably; an admin may read every chat without.
//! - **Namespace**: a name for the server that a Socket.IO client connects to, a session each.
//! - **Node**: one process of a deployment.
//! - **Outbox event**: news for other services that waits in the database.
//! - **Packet**: a message of Engine.IO, or of Socket.IO in it.
//! - **Position**: the last `seq` of a chat that a session has sent.
//! - **Replay**: missed messages, sent in pages.
//! - **Retire**: an empty room ends.
//! - **Room**: the live side of a chat on one node.
//! - **Session**: one connection of one user, hosted by a transport; over Socket.IO one namespace of it.
//! - **Service key**: lets another service call the HTTP API, within its scopes.
//! - **Share**: a node's part of the live state: its users who are online, and its sessions' views.
//! - **Sink**: a consumer of outbox events, known by its name.
//! - **Trusted proxy**: a proxy whose forwarding headers name the client.
//! - **Use case**: one thing that a user, a service or the system may do.
//! - **Watch**: an admin's session hears of every chat.
//!
//! # Modules
//! In the order of the layers.

pub mod domain; // Decisions: a chat's order, a session's position, access.
pub mod retry; // Growing pauses, and a log that does not repeat itself.
pub mod tls; // TLS towards other servers, and of this one.
pub mod settings; // Settings of the operator.
pub mod metrics; // Counters and gauges of `/metrics`.
pub mod protocol; // JSON of frames and bodies, and one table of errors.
pub mod db; // Storage: one contract on PostgreSQL and on SQLite.
pub mod auth; // Tokens become claims, and claims a user; passwords, keys of accounts and services.
pub mod session; // State machine of a session.
pub mod actors; // ChatServer, rooms, executors: owners of live state.
pub mod app; // Use cases, for all ways in.
pub mod transport; // Hosts of sessions: WebSockets.
pub mod outbox; // Delivery of events to sinks.
pub mod amqp; // Connections to RabbitMQ.
pub mod cluster; // Node to node: a backplane, and polling behind it.
pub mod bus; // Other services, over RabbitMQ.
pub mod web; // The pages' files, as they are served.
pub mod http; // The route table, and a file per resource.
pub mod application; // Composition root.
