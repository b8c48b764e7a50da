//! frontdesk: a customer-support chat backend.
//!
//! Every customer has one support chat, every admin can see and enter all chats, and each chat is a
//! log that is numbered 1, 2, 3 … in the order of commits. This page is the map; `ARCHITECTURE.md`
//! is the long form, with walkthroughs and the reasons.
//!
//! # Layers
//! - [`domain`] decides: plain data and functions, without an actor, a database or I/O; time is an
//!   argument.
//! - [`protocol`] knows the wire's JSON, [`db`] stores (and alone knows diesel), [`auth`] says who
//!   is asking (and alone knows `jsonwebtoken`); [`settings`] and [`metrics`] are for the operator.
//! - [`actors`] move: each owns what it has, and typed messages join them.
//! - [`app`] has the use cases: who may do what, whoever asks, over which way.
//! - [`outbox`] delivers what the database holds for others, to each of its sinks.
//! - [`cluster`] stands on the actors; [`bus`] and [`http`] parse and render for the use cases.
//!   [`cluster`] and [`bus`] share the connections of [`amqp`], and [`retry`].
//! - [`application`] sees all, and joins it.
//!
//! A module uses only what lies below it; a test in `tests/tidy` reads the sources and says so.
//!
//! # Invariants
//! 1. What was acked is in the log exactly once, whatever is killed, and when.
//! 2. A chat's log is `seq` 1, 2, 3 … in commit order. What a session sees of it is a contiguous
//!    run from where it entered, own acks counted.
//! 3. The same `clientId` again is the same `id` and `seq`, and one row.
//! 4. One customer has one support chat, under any race, on any number of nodes.
//! 5. The database is the truth. What actors and nodes tell each other are hints: losing one costs
//!    time, never a message. What other services are told waits there until the broker confirms it.
//! 6. Every queue is bounded, and "full" has an answer that somebody is told.
//! 7. No client, slow, dead, flooding or malicious, delays another, fails another's batch, or holds
//!    memory for longer than a bounded time.
//! 8. Nothing reaches a user who may not see it: [`domain::access`] alone decides what may be done.
//!
//! # A message's way
//! 1. A text frame reaches its [`WsSession`](actors::WsSession), and is parsed into a
//!    [`Command`](protocol::Command), of which every field is valid.
//! 2. The session notes the request under a number, and hands a `Post` to the chat's
//!    [`RoomActor`](actors::RoomActor). A full mailbox is `unavailable`.
//! 3. The room keeps the answer's address, and submits the draft as a [`db::WriteOp`] to the chat's
//!    [`DbExecutor`](actors::DbExecutor), always the same one.
//! 4. The [`db::Write`]s that came while the last transaction ran, from all rooms, are one batch. The
//!    [`db::Writer`] locks the chats, finds duplicates, numbers the rest, inserts and commits.
//! 5. Only then each room is answered. [`domain::Room`] says what is next in `seq` order, and what
//!    must be read from the log before it.
//! 6. The room encodes each message once, and hands the same bytes to every session that is in it.
//! 7. Each session writes what follows its own position ([`domain::Streams`]): `receive_message` to
//!    everybody, the ack to the session that sent it, at the message's place in the stream.
//! 8. Other nodes find the chat's new end in the database ([`cluster`]), and their rooms read up to
//!    it. Other services are told from the [`outbox`], which the transaction wrote as well.
//!
//! # Modules
//! In the order in which they are best read.

pub mod settings; // What the operator decides: typed, closed, layered.
pub mod domain; // Decides: a chat's order, a session's position, who may do what.
pub mod protocol; // Frames and bodies: commands in, events out, one table of refusals.
pub mod metrics; // What `/metrics` counts.
pub mod auth; // A token becomes claims, and claims a user.
pub mod db; // Stores: one contract on PostgreSQL and on SQLite.
pub mod session; // A session's state machine: frames and facts in, actions out.
pub mod actors; // Moves: sessions, rooms, executors, and who is where.
pub mod app; // Use cases: what somebody may do, checked and done once for all ways in.
pub mod retry; // Pauses that grow, and a log that does not repeat itself.
pub mod amqp; // RabbitMQ's connections.
pub mod cluster; // Node to node: a backplane for hints, and polling behind it.
pub mod transport; // Sessions on WebSockets.
pub mod outbox; // Delivers what the database's outbox holds, to each sink.
pub mod bus; // Other services, over RabbitMQ: what is told, asked and answered.
pub mod http; // The route table, and a file per resource.
pub mod application; // Builds all of it, runs it, and ends it.
