//! frontdesk: a customer-support chat backend.

pub mod actors;
pub mod application;
pub mod auth;
pub mod cluster;
pub mod db;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod protocol;
pub mod settings;
