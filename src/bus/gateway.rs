//! To come.
use crate::domain::SessionId;
use crate::protocol::Frame;
use serde_json::value::RawValue;
pub fn answer(data: &RawValue) -> Result<(SessionId, Frame), String> {
    let _ = data;
    Err("data.metadata.socket_id: is missing".to_owned())
}
