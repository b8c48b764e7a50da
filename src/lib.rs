//! frontdesk: a customer-support chat backend.

pub mod settings;
pub mod domain;
pub mod protocol;
pub mod metrics;
pub mod auth;
pub mod db;
pub mod actors;
pub mod cluster;
pub mod http;
pub mod application;
