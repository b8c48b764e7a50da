//! State machine of a session: frames and facts in, actions out.
//!
//! A [`Session`] knows no socket, no actor, no clock and no database. Its host (a transport, or a
//! test) hands it an [`Input`] at a time and carries out the [`Action`]s that come back, in order.
//! `R` is the address of a room, which the session keeps and hands back.

mod action;
mod budget;
mod catch_up;
mod commands;
mod config;
mod dispatch;
mod forward;
mod forwards;
mod input;
mod join;
mod joining;
mod requests;
mod rooms;
mod state;
mod waiting;

pub use action::{Action, Ask, Counted, ForwardRequest, NewPost, RoomCall, Timer};
pub use budget::{Budget, Permit};
pub use config::{Routes, SessionConfig};
pub use input::{
    Admitted, Answered, Attached, Input, JoinChat, MarkOutcome, Outcome, PostOutcome, Purpose,
    ServiceAnswer, ToSession,
};
pub use state::Session;

#[cfg(test)]
mod tests;
