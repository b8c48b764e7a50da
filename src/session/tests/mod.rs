//! A second host of sessions, in memory: no sockets, no actors, no database.

mod interleavings;
mod scenarios;
mod world;
