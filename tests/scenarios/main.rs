//! The contract, tried over real sockets: each scenario is written once, as a client author would
//! write it, and runs on SQLite and on PostgreSQL.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what is wrong by a panic"
)]

mod accounts;
mod addresses;
mod answers;
mod authenticating;
mod backplane;
mod backups;
mod bad_input;
mod blocking;
mod broker_faults;
mod churn;
mod connecting;
mod chats;
mod devices;
mod ending;
mod entering;
mod events_out;
mod faults;
mod floods;
mod frames;
mod gateway;
mod gateway_places;
mod groups;
mod http;
mod intake;
mod key_sets;
mod keys;
mod leaving;
mod lists;
mod live;
mod live_nodes;
mod messages;
mod node_faults;
mod nodes;
mod operation;
mod order;
mod outages;
mod polling;
mod pushes;
mod random_frames;
mod reading;
mod recount;
mod repeats;
mod resuming;
mod retiring;
mod roles;
mod rpc;
mod service_keys;
mod socketio_connect;
mod socketio_crowds;
mod socketio_endings;
mod socketio_events;
mod socketio_handshake;
mod socketio_limits;
mod socketio_malformed;
mod socketio_names;
mod socketio_origins;
mod socketio_polling;
mod socketio_random;
mod socketio_recovery;
mod socketio_upgrade;
mod support;
mod users_in;
