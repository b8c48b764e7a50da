//! The contract, tried over real sockets: each scenario is written once, as a client author would
//! write it, and runs on SQLite and on PostgreSQL.

mod authenticating;
mod connecting;
mod desk;
mod devices;
mod groups;
mod support;
