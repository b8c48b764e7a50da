//! Descriptions of the wire for programs: JSON Schemas (2020-12) that the documents of the HTTP API and of
//! the frames share. Tests hold them against all that the scenarios send and receive.

mod asyncapi;
mod schemas;

pub use asyncapi::asyncapi;
pub use schemas::{problem_codes, reference, schemas};
