//! frontdesk: a customer-support chat backend.
//!
//! Every customer has one support chat, every admin can see and enter all chats, and each chat is a
//! log that is numbered 1, 2, 3 … in the order of commits. This page is the map; `ARCHITECTURE.md`
//! is the long form, with walkthroughs and the reasons.
//!
//! # Layers
//! A module uses only modules below it (a test in `tests/tidy` reads the sources), from the ground up:
//! - [`domain`] decides: plain data and functions, without an actor, a database or I/O; time is an
//!   argument. [`retry`] has pauses that grow, [`settings`] and [`metrics`] are the operator's.
//! - [`protocol`] knows the wire's JSON, [`db`] stores (and alone knows diesel), [`auth`] verifies
//!   tokens (and alone knows `jsonwebtoken`).
//! - [`session`] is the state machine of a session, pure: inputs in, actions out.
//! - [`actors`] move: each owns its state, and typed messages join them.
//! - [`app`] has the use cases, a file each: access is checked there, whoever asks.
//! - [`transport`] hosts sessions on WebSockets (and alone knows `actix_web_actors`). [`http`] and
//!   [`bus`] (RabbitMQ) parse requests for the use cases and render their answers.
//! - [`cluster`] carries hints from node to node, [`outbox`] delivers events to sinks; [`amqp`] keeps
//!   the connections that `cluster` and `bus` share.
//! - [`application`] builds all of it, and sees all of it.
//!
//! # Invariants
//! 1. An acked message is in the log exactly once, whatever is killed, and when.
//! 2. A chat's log is `seq` 1, 2, 3 … in commit order. A session sees a contiguous run of it from where
//!    it entered, own acks counted.
//! 3. The same `clientId` again is the same `id` and `seq`, and one row.
//! 4. One customer has one support chat, under any race, on any number of nodes.
//! 5. The database is the truth. Messages between actors and nodes are hints: losing one costs time,
//!    never a message. Events for other services wait in the outbox until every sink has them.
//! 6. Every queue is bounded, and "full" has an answer that somebody is told.
//! 7. No client, slow, dead, flooding or malicious, delays another, fails another's batch, or holds
//!    memory for longer than a bounded time.
//! 8. Nothing reaches a user who may not see it: [`domain::access`] alone decides.
//!
//! # A message's way
//! 1. A text frame reaches its [`WsSession`](transport::ws::WsSession), which hands it to its
//!    [`Session`](session::Session). The table of commands parses it; every field is valid from here on.
//! 2. The session opens a request under a number, and asks for a call to the chat's
//!    [`RoomActor`](actors::RoomActor): a `Post`. A full mailbox is `unavailable`.
//! 3. The room submits the draft as a [`db::WriteOp`] to the chat's
//!    [`DbExecutor`](actors::DbExecutor), always the same one.
//! 4. The [`db::Write`]s that came while the last transaction ran, from all rooms, are one batch. The
//!    [`db::Writer`] locks the chats, finds duplicates, numbers the rest, inserts and commits.
//! 5. Only then the rooms are answered. [`domain::Room`] says what is next in `seq` order, and what
//!    must be read from the log before it.
//! 6. The room delivers each message to every session in it, as a [`protocol::Posted`] that all share.
//! 7. Each session sends what follows its own position ([`domain::Streams`]): `receive_message` to
//!    everybody, the ack to the session that sent it, at the message's place in the stream. The first
//!    session that needs an encoding makes it, for all that speak the same [`protocol::Codec`].
//! 8. Other nodes get one hint for each transaction, and poll the database for what a hint did not bring
//!    ([`cluster`]). Other services get events from the [`outbox`], which the transaction wrote.
//!
//! # Glossary
//! - **Ack**: the positive answer to a request that has an `id`.
//! - **Attach**: a room takes a session in.
//! - **Backplane**: messages from node to node.
//! - **Batch**: the writes of one transaction.
//! - **Budget**: events and bytes that may wait for one session.
//! - **Call**: a request to a room that is answered once.
//! - **Chat**: the durable conversation; its **log** holds messages by `seq`.
//! - **Codec**: one wire format of frames.
//! - **Command**: a client's event that the server acts on.
//! - **Customer**, **admin**: the roles of users; an admin is a support agent.
//! - **Draft**: a message on its way into the log.
//! - **Ending**: the reason for which a session ends, with its close code.
//! - **Executor**: an actor with one database connection that writes.
//! - **Hint**: news that may be lost.
//! - **Join**: a session asks to be in rooms.
//! - **Member**: a user who belongs to a chat, durably.
//! - **Node**: one process of a deployment.
//! - **Outbox**: events for other services that wait in the database.
//! - **Permit**: a part of a budget, given back when it is dropped.
//! - **Position**: the last `seq` of a chat that a session has sent.
//! - **Replay**: missed messages, sent in pages.
//! - **Retire**: an empty room ends.
//! - **Room**: the live side of a chat on one node.
//! - **Route**: the way of a client's event to another service.
//! - **Session**: one connection of one user.
//! - **Sink**: a consumer of the outbox.
//! - **Transport**: a kind of connection that hosts sessions.
//! - **Use case**: one thing that a user, a service or the system may do.
//! - **Watch**: an admin's session hears of every chat.
//!
//! # Modules
//! In the order in which they are best read.

pub mod settings; // Settings of the operator: typed, closed, layered.
pub mod domain; // Decisions: a chat's order, a session's position, access.
pub mod protocol; // JSON of frames and bodies, and one table of errors.
pub mod metrics; // Counters and gauges of `/metrics`.
pub mod retry; // Pauses that grow, and a log that does not repeat itself.
pub mod auth; // Tokens become claims, and claims a user.
pub mod db; // Storage: one contract on PostgreSQL and on SQLite.
pub mod session; // State machine of a session.
pub mod actors; // ChatServer, rooms, executors: owners of live state.
pub mod app; // Use cases, for all ways in.
pub mod transport; // Hosts of sessions: WebSockets.
pub mod http; // The route table, and a file per resource.
pub mod outbox; // Delivery of events to sinks.
pub mod amqp; // Connections to RabbitMQ.
pub mod cluster; // Node to node: a backplane for hints, and polling behind it.
pub mod bus; // Other services, over RabbitMQ.
pub mod application; // Composition root.
