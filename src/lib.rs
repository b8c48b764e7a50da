pub mod settings;
pub mod domain;
pub mod protocol;
pub mod metrics;
pub mod auth;
pub mod actors;
