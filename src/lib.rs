pub mod domain;
pub mod metrics;
pub mod protocol;
