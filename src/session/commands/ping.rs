//! `ping`: the server's time.

use serde_json::value::RawValue;

use crate::protocol::{AckData, ApiError, Limits, RequestId, ServerTime};
use crate::session::state::{Session, Turn};

pub const NAME: &str = "ping";

#[derive(Debug, PartialEq, Eq)]
pub struct Ping;

impl Ping {
    /// Takes anything.
    pub fn parse(_: Option<&RawValue>, _: &Limits) -> Result<Self, ApiError> {
        Ok(Self)
    }

    pub fn act<R: Clone>(
        self,
        _: &mut Session<R>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) -> Result<(), ApiError> {
        let server_time = turn.now();
        turn.ack(request, AckData::ServerTime(ServerTime { server_time }));
        Ok(())
    }
}
